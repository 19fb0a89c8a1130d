"""Compare srkit with the peers' own code: BasicSR's train.py and Real-ESRGAN's RealESRGANer.

    python benchmarks/peers.py --basicsr BasicSR --realesrgan Real-ESRGAN --out results

Both train the same RRDB, in batches of the same size, on the same folder of pictures, with the
optimiser, flips, rotations and moving average of BasicSR's option file; and both upscale the same
picture with the same weights. They alternate, each in a new process. BasicSR reads LR from files,
srkit makes it from HR in every step.

The peers are checkouts, or are installed in the Python that --python names; there they need the
packages of their requirements files. Nothing is written to their folders. Two modules that are
missing beside a recent torchvision or in a checkout are supplied when they run, see
peer_process.py.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from gpu import PASSES, PRECISIONS, product_rate
from PIL import Image
from rich.console import Console
from rich.table import Table
from train_step import RECIPE, srkit_speed

from srkit import Upscaler
from srkit.assembly.build import assemble
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.functional import resize
from srkit.models.costs import count_multiply_adds
from srkit.recipe.recipe import load_recipe
from srkit.weights import read_tensors

TASKS = ("training", "upscaling")
PEER = "peer"
SCALE = 4


def main() -> None:
    """Alternate between the peer and srkit; print and write the speeds and their ratios."""
    arguments = parse()
    if arguments.method:
        measure = {"training": train, "upscaling": upscale}[arguments.task[0]]
        print(json.dumps(measure(arguments, Path(arguments.folder), arguments.method)))
        return
    results: dict[str, Any] = {"processor": processor()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(arguments, folder)
        for task in arguments.task:
            rounds = [
                {method: run(arguments, task, method, folder) for method in methods(arguments)}
                for _ in range(arguments.rounds)
            ]
            results[task] = summarise(rounds)
            add_shares(results[task], work(arguments, task, folder))
        if "upscaling" in arguments.task:
            for method, result in results["upscaling"].items():
                result["largest_difference"] = difference(folder, method)
    Console().print(as_table(results, arguments.task))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "peers.json").write_text(json.dumps(results, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--basicsr", type=Path, help="checkout of BasicSR")
    parser.add_argument("--realesrgan", type=Path, help="checkout of Real-ESRGAN")
    parser.add_argument("--python", default=sys.executable, help="the peers' Python")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--precision", nargs="+", default=["bf16", "fp32"], help="those of srkit")
    parser.add_argument("--engine", default="torch", help="with which srkit upscales")
    parser.add_argument("--pictures", type=Path, help="folder of HR; default: sample_photos")
    parser.add_argument("--picture", type=Path, help="8-bit LR picture to upscale")
    parser.add_argument("--weights", type=Path, help="x4 RRDB; default: random weights")
    parser.add_argument("--blocks", type=int, default=23, help="of the RRDB that is trained")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=128, help="side of the HR crops")
    parser.add_argument("--steps", type=int, default=8, help="timed steps, after as many others")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for peers.json")
    parser.add_argument("--method", help="measure only this precision of srkit, in this process")
    parser.add_argument("--folder", type=Path, help="folder of the prepared files, for --method")
    return parser.parse_args()


def methods(arguments: argparse.Namespace) -> list[str]:
    return [PEER, *arguments.precision]


def processor() -> dict[str, Any]:
    """Return what limits the instructions in use."""
    limits = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS")
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        **{name: os.environ[name] for name in limits if name in os.environ},
    }


def prepare(arguments: argparse.Namespace, folder: Path) -> None:
    """Write the pictures, the weights and BasicSR's option file."""
    for name in ("hr", "lr"):
        (folder / name).mkdir()
    for number, pixels in enumerate(pictures(arguments)):
        hr = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        sides = [side // SCALE for side in hr.shape[-2:]]
        hr = hr[..., : sides[0] * SCALE, : sides[1] * SCALE]
        for name, image in (("hr", hr), ("lr", resize(hr, (sides[0], sides[1])))):
            save(image, folder / name / f"{number:04d}.png")
    source = arguments.picture or next(iter(sorted((folder / "lr").iterdir())))
    Image.open(source).convert("RGB").save(folder / "picture.png")
    if arguments.weights:
        tensors = read_tensors(arguments.weights)
    else:
        torch.manual_seed(0)
        rrdb = Registry.discover().get("generators", "rrdb").factory
        tensors = build(rrdb, {"blocks": arguments.blocks}, scale=SCALE, channels=3).state_dict()
    torch.save({"params": dict(tensors)}, folder / "weights.pth")
    (folder / "train.yml").write_text(yaml.safe_dump(peer_options(arguments, folder)))


def pictures(arguments: argparse.Namespace) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return HR pictures that are large enough: of the folder, or those that srkit[sample] has."""
    if arguments.pictures is None:
        recipe = load_recipe(RECIPE, sample=True)
        assembly = assemble(recipe, Registry.discover(), "benchmark", splits=["train"])
        data = assembly.data["train"]
        tensors = [data[index].hr for index in range(len(data))]
        return [(each * 255).round().byte().permute(1, 2, 0).numpy() for each in tensors]
    paths = sorted(arguments.pictures.rglob("*.[jp][pn]g"))
    read = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return [pixels for pixels in read if min(pixels.shape[:2]) >= arguments.crop]


def save(image: torch.Tensor, path: Path) -> None:
    levels = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(levels).save(path)


def peer_options(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the options of BasicSR's train_RRDBNet_PSNR_x4.yml, without validation."""
    data = {
        "name": "pictures",
        "type": "PairedImageDataset",
        "dataroot_gt": str(folder / "hr"),
        "dataroot_lq": str(folder / "lr"),
        "io_backend": {"type": "disk"},
        "gt_size": arguments.crop,
        "use_hflip": True,
        "use_rot": True,
        "num_worker_per_gpu": 1,
        "batch_size_per_gpu": arguments.batch,
        "dataset_enlarge_ratio": 100,
    }
    network = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_grow_ch": 32}
    steps = arguments.steps
    return {
        "name": "peer",
        "model_type": "SRModel",
        "scale": SCALE,
        "num_gpu": int(torch.cuda.is_available()),
        "manual_seed": 0,
        "datasets": {"train": data},
        "network_g": {"type": "RRDBNet", "num_block": arguments.blocks, **network},
        "path": {"pretrain_network_g": None, "strict_load_g": True, "resume_state": None},
        "train": {
            "ema_decay": 0.999,
            "optim_g": {"type": "Adam", "lr": 2e-4, "weight_decay": 0, "betas": [0.9, 0.99]},
            "scheduler": {"type": "MultiStepLR", "milestones": [10**6], "gamma": 0.5},
            "total_iter": 2 * steps,
            "warmup_iter": -1,
            "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
        },
        "logger": {"print_freq": steps, "save_checkpoint_freq": 10**6, "use_tb_logger": False},
    }


def run(arguments: argparse.Namespace, task: str, method: str, folder: Path) -> dict[str, float]:
    """Measure a method in a new process, and return its result."""
    if method == PEER:
        command = [arguments.python, str(Path(__file__).with_name("peer_process.py")), task]
        command.append(json.dumps(peer_settings(arguments, folder)))
    else:
        command = [sys.executable, *sys.argv, "--task", task, "--method", method]
        command += ["--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{task} with {method} failed:\n{done.stderr[-4000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{task}, {method}: {measured['speed']:.3g} per second", file=sys.stderr)
    return measured


def peer_settings(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    shapes = {
        key: value.shape for key, value in torch.load(folder / "weights.pth")["params"].items()
    }
    checkouts = [arguments.basicsr, arguments.realesrgan]
    return {
        "checkouts": [str(path.resolve()) for path in checkouts if path is not None],
        "folder": tempfile.mkdtemp(dir=folder),
        "options": str(folder / "train.yml"),
        "images": arguments.steps * arguments.batch,
        "weights": str(folder / "weights.pth"),
        "network": {
            "num_feat": shapes["conv_first.weight"][0],
            "num_block": 1 + max(int(key.split(".")[1]) for key in shapes if "rdb1" in key),
            "num_grow_ch": shapes["body.0.rdb1.conv1.weight"][0],
        },
        "picture": str(folder / "picture.png"),
        "save": str(folder / f"{PEER}.png"),
    }


def train(arguments: argparse.Namespace, folder: Path, precision: str) -> dict[str, float]:
    """Train with srkit, and return the images per second of the second half of the steps."""
    overrides = [
        f"generator={{type: rrdb, blocks: {arguments.blocks}, features: 64, growth: 32}}",
        f"data.train.dataset={{type: image_folder, root: {folder / 'hr'}}}",
        "data.validation=null",
        f"data.train.crop={arguments.crop}",
        f"training.batch_size={arguments.batch}",
        f"training.duration={2 * arguments.steps}",
        f"training.log_every={arguments.steps}",
        "training.optimiser={type: adam, lr: 2e-4, betas: [0.9, 0.99]}",
        "training.schedule={type: constant}",
        "training.ema=0.999",
        "training.clip=null",
        "training.checkpoint_every=1000",
        "training.workers=1",
        f"training.precision={precision}",
    ]
    return {"speed": srkit_speed(load_recipe(RECIPE, overrides))[0]}


def upscale(arguments: argparse.Namespace, folder: Path, precision: Any) -> dict[str, float]:
    """Upscale the picture with srkit as with the peer; the second run counts."""
    weights = folder / "weights.pth"
    upscaler = Upscaler(weights, precision=precision, engine=arguments.engine)
    picture = np.asarray(Image.open(folder / "picture.png"))
    upscaler(picture)
    started = time.perf_counter()
    sr = upscaler(picture)
    taken = time.perf_counter() - started
    Image.fromarray(sr).save(folder / f"{precision}.png")
    return {"speed": 1 / taken}


def work(arguments: argparse.Namespace, task: str, folder: Path) -> float:
    """Return the multiply-adds of an image of a training, or of the picture."""
    network = {"blocks": arguments.blocks}
    pixels, passes = (arguments.crop // SCALE) ** 2, PASSES
    if task == "upscaling":
        shape = peer_settings(arguments, folder)["network"]
        network = {
            "blocks": shape["num_block"],
            "features": shape["num_feat"],
            "growth": shape["num_grow_ch"],
        }
        pixels, passes = math.prod(Image.open(folder / "picture.png").size), 1
    rrdb = Registry.discover().get("generators", "rrdb").factory
    generator = build(rrdb, network, scale=SCALE, channels=3).eval()
    return passes * count_multiply_adds(generator, torch.zeros(1, 3, 32, 32))[""] * pixels / 32**2


def add_shares(found: dict[str, dict[str, float]], multiply_adds: float) -> None:
    """Add the share of the rate of a large matrix product; the peers compute in fp32 on a CPU."""
    for method, result in found.items():
        dtype = PRECISIONS.get("fp32" if method == PEER else method)
        if dtype is not None:
            rate = product_rate(dtype, 4096, 3)
            result["share_of_matrix_product"] = multiply_adds * result["speed"] / rate


def difference(folder: Path, method: str) -> int:
    """Return the largest difference from the peer's SR, in levels."""
    one, other = (np.asarray(Image.open(folder / f"{name}.png"), int) for name in (PEER, method))
    return int(np.abs(one - other).max())


def summarise(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the medians over the rounds of the speeds, and of the ratios within a round."""
    return {
        method: {
            "speed": statistics.median(each[method]["speed"] for each in rounds),
            "ratio": statistics.median(
                each[method]["speed"] / each[PEER]["speed"] for each in rounds
            ),
        }
        for method in rounds[0]
    }


def as_table(results: dict[str, Any], tasks: list[str]) -> Table:
    columns = ("per second", "relative to the peer", "of a matrix product", "largest difference")
    table = Table("task", "method", *columns)
    for task in tasks:
        for method, result in results[task].items():
            name = method if method == PEER else f"srkit, {method}"
            apart = str(result.get("largest_difference", ""))
            speed, ratio = f"{result['speed']:.3g}", f"{result['ratio']:.2f}"
            share = result.get("share_of_matrix_product", math.nan)
            table.add_row(task, name, speed, ratio, f"{share:.2f}", apart)
    table.caption = f"images of a training, pictures; {results['processor']}"
    return table


if __name__ == "__main__":
    main()
