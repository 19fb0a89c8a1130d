"""Answers of frozen teachers on HR, kept on disk: computed once, not in every epoch.

An answer is stored by the position of its picture in the data set, together with a digest of the
pixels, in a file whose name is a digest of the teacher: other pictures and other teachers find
nothing. The file belongs to a run, so that a resumed run finds exactly the same bits.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import nn

from srkit import __version__
from srkit.errors import OutputError
from srkit.interfaces import Answer, Batch
from srkit.system.digests import DIGEST, add_tensors
from srkit.system.files import atomic


def identify(teacher: nn.Module, options: Mapping[str, Any], circumstances: str) -> str:
    """Return a digest of everything that an answer depends on, except for the picture.

    Parameters
    ----------
    teacher
        With its weights and buffers, including those of its preprocessing.
    options
        Its entry in the recipe.
    circumstances
        Precision and device of the run.
    """
    digest = sha256(json.dumps([__version__, circumstances, dict(options)], default=str).encode())
    tensors = {**dict(teacher.named_parameters()), **dict(teacher.named_buffers())}
    add_tensors(digest, tensors)
    return digest.hexdigest()[:16]


class KeptAnswers:
    """Scores of one teacher for each picture of a data set, in a file mapped into memory.

    Processes share the file. Each entry has its own checksum, so that an incomplete one is
    ignored.

    Parameters
    ----------
    folder
        Folder of the file.
    key
        The digest by :func:`identify`.
    pictures
        Number of pictures in the data set.
    classes
        Number of classes of the teacher.

    Raises
    ------
    OutputError
        If the file cannot be written, or the disk is too small for it.
    """

    def __init__(self, folder: Path, key: str, pictures: int, classes: int) -> None:
        entry = np.dtype([("picture", f"V{DIGEST}"), ("check", "<u4"), ("scores", "<f4", classes)])
        self.path = folder / f"{key}-{pictures}x{classes}.npy"
        self.bytes = entry.itemsize * pictures
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                if not self.path.is_file():
                    free = shutil.disk_usage(folder).free
                    if self.bytes > free:
                        needed = f"{self.bytes / 1e9:.3g} GB are needed"
                        raise OSError(f"{needed}, {free / 1e9:.3g} GB are free")
                    with atomic(self.path) as partial:
                        np.lib.format.open_memmap(partial, "w+", entry, (pictures,)).flush()
            self._entries: NDArray[np.void] = np.lib.format.open_memmap(self.path, "r+")
            if (self._entries.dtype, self._entries.shape) != (entry, (pictures,)):
                raise ValueError("it has other contents")
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{self.path}: cannot store the teacher's answers ({error}); delete the file, free "
                "some space, or set `answers: compute` for the teacher"
            ) from error

    def recall(self, batch: Batch, ask: Callable[[], Answer]) -> Answer:
        """Return the scores of the HR images of a batch; run the teacher only if one is missing.

        Parameters
        ----------
        batch
            With the position and the digest of every picture.
        ask
            Runs the teacher on all of them.
        """
        positions = [position for position, _ in batch.pictures]
        digests = np.array([digest for _, digest in batch.pictures], f"V{DIGEST}")
        found = self._entries[positions]
        sums = [zlib.crc32(scores.tobytes()) for scores in found["scores"]]
        if (found["picture"] == digests).all() and (found["check"] == sums).all():
            return Answer(torch.from_numpy(found["scores"].copy()).to(batch.hr.device))
        answer = ask()
        found["scores"] = answer.logits.float().cpu().numpy()
        found["picture"] = digests
        found["check"] = [zlib.crc32(scores.tobytes()) for scores in found["scores"]]
        self._entries[positions] = found
        return answer
