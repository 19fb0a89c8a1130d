"""A model as a graph that runs without srkit: ONNX, or torch.export's own."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as symbolic_shapes

from srkit import __version__
from srkit.errors import GraphError, innermost
from srkit.interfaces import Batch
from srkit.interfaces.view import View
from srkit.models.open import Model
from srkit.system.extras import needs

#: How far a graph's answers may be from the network's, in units of the range of values.
TOLERANCE = 1e-4
#: Shapes ``(N, h, w)`` that a graph is tried on, none of them the one it was traced with.
TRIED = ((2, 17, 23), (1, 31, 19))
#: Shape that it is traced with; a 1 would be taken for a constant.
TRACED = (2, 12, 16)
#: How far apart the values lie that a stretch's slope is measured between: its own range is 1.
STEP = 2**-9
#: The axes of LR that may have any length.
FREE_AXES = {0: "batch", 2: "height", 3: "width"}

#: SR, or SR and its standard deviation.
Answer = Tensor | tuple[Tensor, ...]
Run = Callable[[Tensor], Answer]


class Restoration(nn.Module):
    """Everything from LR to SR in the model's own values: stretch, network, constraint, variance.

    It works in fp32, on the CPU, on copies of the network's weights.

    Parameters
    ----------
    model
        What restores.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.generator = _copied(model.generator)
        self.head = None if model.head is None else _copied(model.head)
        self.scale, self.quantity = model.scale, model.quantity
        self.stretch, self.constraint = model.stretch, model.constraint
        self.outputs = ("sr",) if model.head is None else ("sr", "sigma")

    def forward(self, lr: Tensor) -> Answer:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``.

        Returns
        -------
        Tensor or tuple of Tensor
            SR; where the model predicts its variance, SR and the standard deviation of each value.
        """
        view = self._view(lr)
        assert view.seen.lr is not None
        seen = self.generator(view.seen.lr)
        sr = view.to_flux(seen)
        if self.constraint is not None:
            sr = self.constraint(sr, view.flux)
        if self.head is None:
            return sr
        sigma = self.head(view.seen.lr, seen).exp().sqrt()
        return sr, sigma * _slope(view, view.to_seen(sr))

    def _view(self, lr: Tensor) -> View:
        height, width = lr.shape[-2:]
        batch = Batch(
            names=(),
            hr=lr.new_zeros(*lr.shape[:2], self.scale * height, self.scale * width),
            seeds=(),
            lr=lr,
            data_range=self.quantity.data_range,
            unit=self.quantity.unit,
            pixel_scale=self.quantity.pixel_scale,
        )
        return View.of(batch, self.stretch)


def _slope(view: View, seen: Tensor) -> Tensor:
    """Give how much faster flux changes than what networks see of it: no graph has gradients."""
    if view.stretch is None:
        return torch.ones_like(seen)
    return (view.to_flux(seen + STEP) - view.to_flux(seen - STEP)).abs() / (2 * STEP)


def _copied(network: nn.Module) -> nn.Module:
    copy = deepcopy(network).cpu().float().eval().requires_grad_(False)
    return copy.to(memory_format=torch.contiguous_format)


def to_onnx(model: Model, facts: Mapping[str, Any]) -> bytes:
    """Give a model as an ONNX file, tried in onnxruntime.

    The graph takes ``lr``, ``(batch, channels, height, width)`` float32, and gives ``sr``, and
    ``sigma`` where the model predicts its variance. Batch, height and width are free.

    Parameters
    ----------
    model
        What to give; its stretch and its constraint become part of the graph.
    facts
        What the file says of it, as JSON under ``srkit`` in its ``metadata_props``.

    Raises
    ------
    GraphError
        If a part of it has no ONNX operator, or the graph answers otherwise than the network.
    PluginError
        If the packages of ``srkit[export]`` are missing.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        with needs(package, "export"):
            __import__(package)
    restoration, example = Restoration(model), _noise(model, TRACED)
    with _refusing(model, "an ONNX graph"), torch.no_grad():
        restoration(example)  # what parts keep for later is no part of the graph
        program = torch.onnx.export(
            restoration,
            (example,),
            dynamo=True,
            dynamic_shapes=(FREE_AXES,),
            input_names=["lr"],
            output_names=restoration.outputs,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    proto.producer_name, proto.producer_version = "srkit", __version__
    proto.doc_string = f"{model.name}: super-resolution, {model.scale} times as many pixels a side"
    entry = proto.metadata_props.add()
    entry.key, entry.value = "srkit", json.dumps(facts)
    for output in proto.graph.output:
        for axis in (2, 3):
            side = output.type.tensor_type.shape.dim[axis]
            side.dim_param = f"{model.scale}*{FREE_AXES[axis]}"
    content: bytes = proto.SerializeToString()
    try_graph(model, restoration, lambda: _session(content), "onnxruntime")
    return content


def to_torch(model: Model, facts: Mapping[str, Any]) -> bytes:
    """Give a model as a file of ``torch.export.save`` (``.pt2``), tried after loading it again.

    Parameters
    ----------
    model
        As :func:`to_onnx` takes it.
    facts
        What the file says of it, as JSON in its extra file ``srkit.json``.

    Raises
    ------
    GraphError
        If a part of it cannot be traced, or the graph answers otherwise than the network.
    """
    restoration, example = Restoration(model), _noise(model, TRACED)
    free = dict.fromkeys(FREE_AXES, torch.export.Dim.AUTO)
    file = io.BytesIO()
    with _refusing(model, "a torch.export graph"), torch.no_grad():
        restoration(example)  # what parts keep for later is no part of the graph
        # Or else the graph is for even sides alone where the example's happen to be even.
        with symbolic_shapes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            program = torch.export.export(restoration, (example,), dynamic_shapes={"lr": free})
        torch.export.save(program, file, extra_files={"srkit.json": json.dumps(facts)})
    content = file.getvalue()
    try_graph(model, restoration, lambda: torch.export.load(io.BytesIO(content)).module(), "torch")
    return content


def _session(content: bytes) -> Run:
    """Open an ONNX file in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(lr: Tensor) -> Answer:
        return tuple(map(torch.from_numpy, session.run(None, {"lr": lr.numpy()})))

    return run


@contextmanager
def _refusing(model: Model, what: str) -> Iterator[None]:
    """Tell what fails while a graph is made as something that the user can act on."""
    unread = io.StringIO()
    try:
        # What torch tells of its own parts while it traces is of no use to whoever exports.
        with warnings.catch_warnings(), redirect_stdout(unread), redirect_stderr(unread):
            warnings.simplefilter("ignore")
            logging.disable()
            yield
    except Exception as error:  # torch raises many kinds
        raise GraphError(f"{model.name}: cannot become {what} ({innermost(error)})") from error
    finally:
        logging.disable(logging.NOTSET)


def try_graph(model: Model, network: Restoration, load: Callable[[], Run], where: str) -> None:
    """Compare a graph with the network on noise.

    Raises
    ------
    GraphError
        If it takes only some sizes, or differs.
    """
    run: Run | None = None
    for shape in TRIED:
        lr = _noise(model, shape)
        with torch.no_grad():
            expected = network(lr)
            try:
                run = run or load()
                found = run(lr)
            except Exception as error:  # runtimes raise many kinds
                count, height, width = shape
                raise GraphError(
                    f"{model.name}: its graph does not run in {where} on {count} images of "
                    f"{height} x {width} pixels ({innermost(error)})"
                ) from error
        for one, other in zip(_parts(found), _parts(expected), strict=True):
            _compare(model, one, other, where)


def _parts(answer: Answer) -> tuple[Tensor, ...]:
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)


def _compare(model: Model, found: Tensor, expected: Tensor, where: str) -> None:
    if found.shape != expected.shape:
        raise GraphError(
            f"{model.name}: its graph gives {tuple(found.shape)} in {where}; expected "
            f"{tuple(expected.shape)}"
        )
    low, high = model.quantity.data_range
    span = max(high - low, float(expected.max() - expected.min()))
    off = float((found - expected).abs().max()) / span
    if not off <= TOLERANCE:
        raise GraphError(
            f"{model.name}: its graph differs in {where} from the network by {off:.2g} of the "
            f"range of values; at most {TOLERANCE:g} is allowed"
        )


def _noise(model: Model, shape: tuple[int, int, int]) -> Tensor:
    """Draw images between black and white."""
    count, height, width = shape
    low, high = model.quantity.data_range
    source = torch.Generator().manual_seed(0)
    images = torch.rand(count, model.channels or 1, height, width, generator=source)
    return low + (high - low) * images
