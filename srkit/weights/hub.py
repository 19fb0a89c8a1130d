"""Models from and to the Hugging Face hub, through huggingface_hub: its tokens, cache and settings.

What huggingface_hub heeds holds here: ``HF_TOKEN`` or ``hf auth login``, ``HF_ENDPOINT``,
``HF_HOME`` and ``HF_HUB_OFFLINE``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path

from srkit.errors import OutputError, SrkitError, WeightsError, innermost
from srkit.system.extras import needs

#: What a reference to the hub begins with.
PREFIX = "hf:"
#: The file of a repository that is opened where none is named; it is what `srkit hub push` writes.
WEIGHTS = "model.safetensors"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
REFERENCE = re.compile(
    rf"{PREFIX}(?P<repository>{REPOSITORY.pattern})(?:/(?P<file>[^@]+))?(?:@(?P<revision>.+))?"
)
#: How to say who one is.
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Reference:
    """A file in a repository of the hub.

    Parameters
    ----------
    repository
        ``OWNER/NAME``.
    file
        Its path there.
    revision
        A branch, a tag or a commit; None for the main branch.
    """

    repository: str
    file: str = WEIGHTS
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``hf:OWNER/NAME``, ``hf:OWNER/NAME/FILE``, each with or without ``@REVISION``.

        Raises
        ------
        WeightsError
            If it is nothing of the kind.
        """
        found = REFERENCE.fullmatch(text)
        if found is None:
            raise WeightsError(
                f"'{text}' is no model of the hub; expected hf:OWNER/NAME, or hf:OWNER/NAME/FILE, "
                "and @REVISION behind it for another than the newest"
            )
        return cls(found["repository"], found["file"] or WEIGHTS, found["revision"])

    @property
    def name(self) -> str:
        """What tables call the model."""
        stem = Path(self.file).stem
        return self.repository.partition("/")[2] if self.file == WEIGHTS else stem


def is_on_hub(reference: str | Path) -> bool:
    """Tell whether a model is named by its place on the hub."""
    return str(reference).startswith(PREFIX)


def local(reference: str) -> str:
    """Give a path in place of a reference to the hub, see :func:`download`; others stay."""
    return str(download(reference)) if is_on_hub(reference) else reference


def is_here(reference: str) -> bool:
    """Tell whether a file of the hub is in the cache."""
    with needs("huggingface_hub", "hub"):
        from huggingface_hub import try_to_load_from_cache
    wanted = Reference.parse(reference)
    found = try_to_load_from_cache(wanted.repository, wanted.file, revision=wanted.revision)
    return isinstance(found, str)


def download(reference: str) -> Path:
    """Give a file of the hub, downloading it to the cache where it is not there or not the newest.

    Parameters
    ----------
    reference
        As :meth:`Reference.parse` reads it.

    Raises
    ------
    WeightsError
        If there is no such repository, revision or file, or it cannot be reached.
    PluginError
        If the package of ``srkit[hub]`` is missing.
    """
    with needs("huggingface_hub", "hub"):
        from huggingface_hub import errors, hf_hub_download
    wanted = Reference.parse(reference)
    try:
        with _quietly():
            found = hf_hub_download(wanted.repository, wanted.file, revision=wanted.revision)
    except errors.LocalEntryNotFoundError as error:
        reason = "HF_HUB_OFFLINE is set" if _is_offline() else "the hub cannot be reached"
        raise WeightsError(f"{reference}: not in the cache, and {reason}") from error
    except errors.EntryNotFoundError as error:
        raise WeightsError(
            f"{reference}: the repository has no file {wanted.file}; name one of its own, as "
            f"{PREFIX}{wanted.repository}/FILE"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(
            f"{reference}: the repository has no revision '{wanted.revision}'"
        ) from error
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"{reference}: its owner gives access on request; ask for it on its page, then {LOG_IN}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"{reference}: no such repository, or a private one; check the name, or {LOG_IN}"
        ) from error
    except Exception as error:  # what its transport raises differs from version to version
        raise WeightsError(f"{reference}: cannot be downloaded ({innermost(error)})") from error
    return Path(found)


def upload(
    folder: Path, repository: str, *, private: bool = False, message: str = "Upload with srkit"
) -> str:
    """Commit all files of a folder to a repository, which is made where there is none.

    Parameters
    ----------
    folder
        Its files, but none in folders below it.
    repository
        ``OWNER/NAME``.
    private
        Whether only its owner is to see a repository that is made.
    message
        What the commit says.

    Returns
    -------
    str
        Address of the repository.

    Raises
    ------
    OutputError
        If the hub refuses, or cannot be reached.
    PluginError
        If the package of ``srkit[hub]`` is missing.
    """
    if not REPOSITORY.fullmatch(repository):
        raise OutputError(f"'{repository}' is no repository; expected OWNER/NAME")
    with needs("huggingface_hub", "hub"):
        from huggingface_hub import CommitOperationAdd, HfApi, errors
    files: Sequence[Path] = sorted(path for path in folder.iterdir() if path.is_file())
    try:
        with _quietly():
            api = HfApi(library_name="srkit")
            made = api.create_repo(repository, private=private or None, exist_ok=True)
            additions = [CommitOperationAdd(path.name, path) for path in files]
            api.create_commit(repository, additions, commit_message=message)
    except errors.HfHubHTTPError as error:
        raise _refusal(repository, error.response.status_code, error) from error
    except Exception as error:  # what its transport raises differs from version to version
        reason = "HF_HUB_OFFLINE is set" if _is_offline() else innermost(error)
        raise OutputError(f"{repository}: not uploaded ({reason})") from error
    return str(made)


def _refusal(repository: str, status: int, error: Exception) -> SrkitError:
    """Word what the hub answered."""
    known = {
        401: f"the hub does not know who asks (401); {LOG_IN}; the token has to allow writing",
        403: "the token does not allow writing there (403); take one that does, or another owner",
        404: "no such owner, or one whom the token may not write for (404); check the name",
    }
    return OutputError(f"{repository}: {known.get(status) or f'not uploaded ({innermost(error)})'}")


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what huggingface_hub logs of its attempts: the last one's failure is told."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)
