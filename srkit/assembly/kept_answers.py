"""What frozen teachers say of HR, kept on disk: each picture is judged once, not in every epoch.

An answer is kept under the picture's position in the data set, together with a digest of its
pixels, and in a file whose name is a digest of the teacher: another picture or another teacher
finds nothing. The file belongs to a run, so that a resumed one finds the very bits that it made.
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
from srkit.system.digests import DIGEST
from srkit.system.files import atomic


def identify(teacher: nn.Module, options: Mapping[str, Any], circumstances: str) -> str:
    """Digest all that an answer depends on but the picture.

    Parameters
    ----------
    teacher
        Its weights and buffers count, those of its preprocessing included.
    options
        Its entry in the recipe.
    circumstances
        Precision and device of the run.
    """
    digest = sha256(json.dumps([__version__, circumstances, dict(options)], default=str).encode())
    tensors = {**dict(teacher.named_parameters()), **dict(teacher.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


class KeptAnswers:
    """Scores of one teacher for each picture of a data set, in a file mapped into memory.

    Processes share the file. Each entry has a checksum of its own, so that one that was not
    written whole counts as none.

    Parameters
    ----------
    folder
        Where the file goes.
    key
        What :func:`identify` gives.
    pictures
        Of the data set.
    classes
        Of the teacher.

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
                    _check_space(self.path, self.bytes)
                    with atomic(self.path) as partial:
                        np.lib.format.open_memmap(partial, "w+", entry, (pictures,)).flush()
            self._entries: NDArray[np.void] = np.lib.format.open_memmap(self.path, "r+")
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{self.path}: cannot be kept ({error}); delete it, make room, or set the "
                "teacher's answers: compute"
            ) from error

    def recall(self, batch: Batch, ask: Callable[[], Answer]) -> Answer:
        """Give the scores of a batch's HR images, asking only if any of them is not known.

        Parameters
        ----------
        batch
            With the position and the digest of every picture.
        ask
            Asks the teacher about all of them.
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


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(f"{needed / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB are free")
