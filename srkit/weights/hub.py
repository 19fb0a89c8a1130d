"""Models from and to the Hugging Face hub, through huggingface_hub.

Its settings apply: ``HF_TOKEN`` or ``hf auth login``, ``HF_ENDPOINT``, ``HF_HOME`` and
``HF_HUB_OFFLINE``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path

from srkit.errors import OutputError, WeightsError, innermost
from srkit.system.extras import needs

#: How a reference to the hub begins.
PREFIX = "hf:"
#: The file of a repository that is opened by default; `srkit hub push` writes it.
WEIGHTS = "model.safetensors"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
REFERENCE = re.compile(
    rf"{PREFIX}(?P<repository>{REPOSITORY.pattern})(?:/(?P<file>[^@]+))?(?:@(?P<revision>.+))?"
)
#: Advice on access.
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Reference:
    """A file in a repository of the hub.

    Parameters
    ----------
    repository
        ``OWNER/NAME``.
    file
        Path of the file in the repository.
    revision
        A branch, a tag or a commit; None for the main branch.
    """

    repository: str
    file: str = WEIGHTS
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse ``hf:OWNER/NAME`` or ``hf:OWNER/NAME/FILE``, optionally with ``@REVISION``.

        Raises
        ------
        WeightsError
            If it is not such a reference.
        """
        found = REFERENCE.fullmatch(text)
        if found is None:
            raise WeightsError(
                f"'{text}' is not a model on the hub; expected hf:OWNER/NAME or "
                "hf:OWNER/NAME/FILE, optionally followed by @REVISION"
            )
        return cls(found["repository"], found["file"] or WEIGHTS, found["revision"])

    @property
    def name(self) -> str:
        """The name of the model in tables."""
        stem = Path(self.file).stem
        return self.repository.partition("/")[2] if self.file == WEIGHTS else stem


def is_on_hub(reference: str | Path) -> bool:
    """Return whether a model is referred to by its place on the hub."""
    return str(reference).startswith(PREFIX)


def local(reference: str) -> str:
    """Return the path of the downloaded file for a reference to the hub; return others as is."""
    return str(download(reference)) if is_on_hub(reference) else reference


def is_cached(reference: str) -> bool:
    """Return whether a file of the hub is in the cache."""
    with needs("huggingface_hub", "hub"):
        from huggingface_hub import try_to_load_from_cache
    wanted = Reference.parse(reference)
    found = try_to_load_from_cache(wanted.repository, wanted.file, revision=wanted.revision)
    return isinstance(found, str)


def download(reference: str) -> Path:
    """Return the path of a file of the hub, after downloading it if the cache lacks the newest.

    Parameters
    ----------
    reference
        See :meth:`Reference.parse`.

    Raises
    ------
    WeightsError
        If there is no such repository, revision or file, or it cannot be reached.
    PluginError
        If the package of ``srkit[hub]`` is missing.
    """
    with needs("huggingface_hub", "hub"):
        from huggingface_hub import hf_hub_download
    wanted = Reference.parse(reference)
    try:
        with _quiet():
            found = hf_hub_download(wanted.repository, wanted.file, revision=wanted.revision)
    except Exception as error:  # the errors of its transport differ from version to version
        raise WeightsError(f"{reference}: {_why_not_downloaded(wanted, error)}") from error
    return Path(found)


def _why_not_downloaded(wanted: Reference, error: Exception) -> str:
    from huggingface_hub import errors

    match error:
        case errors.LocalEntryNotFoundError():
            reason = "HF_HUB_OFFLINE is set" if _is_offline() else "the hub cannot be reached"
            return f"not in the cache, and {reason}"
        case errors.EntryNotFoundError():
            example = f"{PREFIX}{wanted.repository}/FILE"
            return f"the repository has no file {wanted.file}; name another one, as in {example}"
        case errors.RevisionNotFoundError():
            return f"the repository has no revision '{wanted.revision}'"
        case errors.GatedRepoError():
            return f"the owner grants access on request; request it on the page, then {LOG_IN}"
        case errors.RepositoryNotFoundError():
            return f"the repository does not exist or is private; check the name, or {LOG_IN}"
    return f"cannot be downloaded ({innermost(error)})"


def upload(
    folder: Path, repository: str, *, private: bool = False, message: str = "Upload with srkit"
) -> str:
    """Commit all files of a folder to a repository, which is created if needed.

    Parameters
    ----------
    folder
        Its files are uploaded, those in subfolders excepted.
    repository
        ``OWNER/NAME``.
    private
        Whether a new repository is visible to its owner only.
    message
        Message of the commit.

    Returns
    -------
    str
        Address of the repository.

    Raises
    ------
    OutputError
        If the hub refuses the upload, or cannot be reached.
    PluginError
        If the package of ``srkit[hub]`` is missing.
    """
    if not REPOSITORY.fullmatch(repository):
        raise OutputError(f"'{repository}' is not a repository; expected OWNER/NAME")
    with needs("huggingface_hub", "hub"):
        from huggingface_hub import CommitOperationAdd, HfApi
    files = sorted(path for path in folder.iterdir() if path.is_file())
    try:
        with _quiet():
            api = HfApi(library_name="srkit")
            created = api.create_repo(repository, private=private or None, exist_ok=True)
            additions = [CommitOperationAdd(path.name, path) for path in files]
            api.create_commit(repository, additions, commit_message=message)
    except Exception as error:  # the errors of its transport differ from version to version
        raise OutputError(f"{repository}: {_why_not_uploaded(error)}") from error
    return str(created)


def _why_not_uploaded(error: Exception) -> str:
    from huggingface_hub import errors

    if _is_offline():
        return "not uploaded (HF_HUB_OFFLINE is set)"
    answers = {
        401: f"not authenticated (401); {LOG_IN}; the token must have write access",
        403: "the token has no write access there (403); use another token or owner",
        404: "no such owner, or the token has no write access there (404); check the name",
    }
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
    return answers.get(status, f"not uploaded ({innermost(error)})")


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what huggingface_hub logs about its attempts; the last failure is reported."""
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
