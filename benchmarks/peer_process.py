"""Run the peers' own code in their own Python. It is started by peers.py and needs no srkit.

    PYTHON benchmarks/peer_process.py TASK SETTINGS

SETTINGS is a JSON object, and so is the last line of the output.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import time
import types
from datetime import datetime
from pathlib import Path
from typing import Any

#: A line of BasicSR's log: the time, and the step.
LINE = re.compile(r"^(\S+ \S+) INFO: .*\[epoch:.*iter:\s*([\d,]+)", re.MULTILINE)


def main() -> None:
    task, settings = sys.argv[1], json.loads(sys.argv[2])
    sys.path[:0] = settings["checkouts"]
    provide_modules()
    print(json.dumps({"training": train, "upscaling": upscale}[task](settings)))


def provide_modules() -> None:
    """Provide what the peers import and neither a checkout nor torchvision has.

    The version modules are written by setup.py. The released BasicSR 1.4.2 imports a module that
    torchvision 0.17 removed; its only function in use is still there under another name.
    """
    for package in ("basicsr", "realesrgan"):
        version: Any = types.ModuleType(f"{package}.version")
        version.__version__ = version.__gitsha__ = "unknown"
        sys.modules[version.__name__] = version
    former = "torchvision.transforms.functional_tensor"
    try:
        importlib.import_module(former)
    except ModuleNotFoundError:
        sys.modules[former] = importlib.import_module("torchvision.transforms.functional")


def train(settings: dict[str, Any]) -> dict[str, float]:
    """Train with BasicSR's train.py, and return the images per second of the second half."""
    from basicsr.train import train_pipeline

    folder = Path(settings["folder"])
    sys.argv = ["train.py", "-opt", settings["options"]]
    train_pipeline(str(folder))
    [log] = (folder / "experiments").glob("*/*.log")
    (first, _), (last, _) = LINE.findall(log.read_text())
    taken = datetime.fromisoformat(last) - datetime.fromisoformat(first)
    return {"speed": settings["images"] / taken.total_seconds()}


def upscale(settings: dict[str, Any]) -> dict[str, float]:
    """Upscale a picture with RealESRGANer as its script does; the second run counts."""
    import cv2
    import torch
    from basicsr.archs.rrdbnet_arch import RRDBNet
    from realesrgan import RealESRGANer

    upscaler = RealESRGANer(
        scale=4, model_path=settings["weights"], model=RRDBNet(3, 3, **settings["network"]),
        tile=0, tile_pad=10, pre_pad=0, half=torch.cuda.is_available(),
    )  # fmt: skip
    picture = cv2.imread(settings["picture"], cv2.IMREAD_UNCHANGED)
    upscaler.enhance(picture, outscale=4)
    started = time.perf_counter()
    sr, _ = upscaler.enhance(picture, outscale=4)
    taken = time.perf_counter() - started
    cv2.imwrite(settings["save"], sr)
    return {"speed": 1 / taken}


if __name__ == "__main__":
    main()
