"""Models as graphs that run without srkit: ONNX and torch.export."""

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

#: Maximum difference of the outputs of graph and network, in units of the range of values.
TOLERANCE = 1e-4
#: Shapes ``(N, h, w)`` on which a graph is tested, other than the one with which it was traced.
TESTED = ((2, 17, 23), (1, 31, 19))
#: Shape with which it is traced; a 1 would become a constant.
TRACED = (2, 12, 16)
#: Half the distance of the values between which the slope of a stretch, of range 1, is measured.
STEP = 2**-9
#: The axes of LR of any length.
FREE_AXES = {0: "batch", 2: "height", 3: "width"}

#: SR, or SR and its standard deviation.
Output = Tensor | tuple[Tensor, ...]
Run = Callable[[Tensor], Output]


class Restoration(nn.Module):
    """Everything from LR to SR in the pixel values: stretch, network, constraint and variance.

    It runs in fp32 on the CPU, on copies of the weights.

    Parameters
    ----------
    model
        The model.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.generator = _copied(model.generator)
        self.head = None if model.head is None else _copied(model.head)
        self.scale, self.quantity = model.scale, model.quantity
        self.stretch, self.constraint = model.stretch, model.constraint
        self.outputs = ("sr",) if model.head is None else ("sr", "sigma")

    def forward(self, lr: Tensor) -> Output:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``.

        Returns
        -------
        Tensor or tuple of Tensor
            SR; if the model predicts its variance, SR and the standard deviation of each value.
        """
        view = self._view(lr)
        assert view.stretched.lr is not None
        seen = self.generator(view.stretched.lr)
        sr = view.to_flux(seen)
        if self.constraint is not None:
            sr = self.constraint(sr, view.flux)
        if self.head is None:
            return sr
        sigma = self.head(view.stretched.lr, seen).exp().sqrt()
        return sr, sigma * _slope(view, view.to_stretched(sr))

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
    """Return the slope of the inverse stretch by differences, since graphs have no gradients."""
    if view.stretch is None:
        return torch.ones_like(seen)
    return (view.to_flux(seen + STEP) - view.to_flux(seen - STEP)).abs() / (2 * STEP)


def _copied(network: nn.Module) -> nn.Module:
    copy = deepcopy(network).cpu().float().eval().requires_grad_(False)
    return copy.to(memory_format=torch.contiguous_format)


def to_onnx(model: Model, facts: Mapping[str, Any]) -> bytes:
    """Return a model as an ONNX file, after a test in onnxruntime.

    The input of the graph is ``lr``, ``(batch, channels, height, width)`` float32, the output
    ``sr``, and ``sigma`` if the model predicts its variance. Batch, height and width are free.

    Parameters
    ----------
    model
        The model; stretch and constraint become part of the graph.
    facts
        Stored as JSON under ``srkit`` in ``metadata_props``.

    Raises
    ------
    GraphError
        If a part of it has no ONNX operator, or the output of the graph differs from the network's.
    PluginError
        If the packages of ``srkit[export]`` are missing.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        with needs(package, "export"):
            __import__(package)
    restoration, example = Restoration(model), _noise(model, TRACED)
    with _refusing(model, "an ONNX graph"), torch.no_grad():
        restoration(example)  # fills caches, which must not become part of the graph
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
    proto.doc_string = f"{model.name}: super-resolution, {model.scale} times the pixels per side"
    entry = proto.metadata_props.add()
    entry.key, entry.value = "srkit", json.dumps(facts)
    for output in proto.graph.output:
        for axis in (2, 3):
            side = output.type.tensor_type.shape.dim[axis]
            side.dim_param = f"{model.scale}*{FREE_AXES[axis]}"
    content: bytes = proto.SerializeToString()
    check_graph(model, restoration, lambda: _session(content), "onnxruntime")
    return content


def to_torch(model: Model, facts: Mapping[str, Any]) -> bytes:
    """Return a model as a file of ``torch.export.save`` (``.pt2``), after a test.

    Parameters
    ----------
    model
        The model, as for :func:`to_onnx`.
    facts
        Stored as JSON in the extra file ``srkit.json``.

    Raises
    ------
    GraphError
        If a part of it cannot be traced, or the output of the graph differs from the network's.
    """
    restoration, example = Restoration(model), _noise(model, TRACED)
    free = dict.fromkeys(FREE_AXES, torch.export.Dim.AUTO)
    file = io.BytesIO()
    with _refusing(model, "a torch.export graph"), torch.no_grad():
        restoration(example)  # fills caches, which must not become part of the graph
        # Otherwise a graph traced with even sides is valid for even sides only.
        with symbolic_shapes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            program = torch.export.export(restoration, (example,), dynamic_shapes={"lr": free})
        torch.export.save(program, file, extra_files={"srkit.json": json.dumps(facts)})
    content = file.getvalue()
    check_graph(model, restoration, lambda: _program(content), "torch")
    return content


def _program(content: bytes) -> Run:
    """Load a file of torch.export."""
    with warnings.catch_warnings():  # torch 2.9 warns of the buffers that it makes
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        loaded: Run = torch.export.load(io.BytesIO(content)).module()
    return loaded


def _session(content: bytes) -> Run:
    """Open an ONNX file in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(lr: Tensor) -> Output:
        return tuple(map(torch.from_numpy, session.run(None, {"lr": lr.numpy()})))

    return run


@contextmanager
def _refusing(model: Model, what: str) -> Iterator[None]:
    """Raise errors of the conversion in a form that the user can act on."""
    ignored = io.StringIO()
    try:
        # The messages of torch about its own parts do not help the user.
        with warnings.catch_warnings(), redirect_stdout(ignored), redirect_stderr(ignored):
            warnings.simplefilter("ignore")
            logging.disable()
            yield
    except Exception as error:  # torch raises many kinds
        raise GraphError(
            f"{model.name}: cannot be converted to {what} ({innermost(error)})"
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def check_graph(model: Model, network: Restoration, load: Callable[[], Run], runtime: str) -> Run:
    """Load a graph, and compare it with the network on noise.

    Returns
    -------
    callable
        The loaded graph.

    Raises
    ------
    GraphError
        If it accepts only some sizes, or its output differs.
    """
    run: Run | None = None
    for shape in TESTED:
        lr = _noise(model, shape)
        with torch.no_grad():
            expected = network(lr)
            try:
                run = run or load()
                found = run(lr)
            except Exception as error:  # runtimes raise many kinds
                count, height, width = shape
                raise GraphError(
                    f"{model.name}: its graph does not run in {runtime} on {count} images of "
                    f"{height} x {width} pixels ({innermost(error)})"
                ) from error
        for one, other in zip(_parts(found), _parts(expected), strict=True):
            _compare(model, one, other, runtime)
    assert run is not None
    return run


def _parts(output: Output) -> tuple[Tensor, ...]:
    return (output,) if isinstance(output, Tensor) else tuple(output)


def _compare(model: Model, found: Tensor, expected: Tensor, runtime: str) -> None:
    if found.shape != expected.shape:
        raise GraphError(
            f"{model.name}: the output of its graph in {runtime} has the shape "
            f"{tuple(found.shape)}; expected {tuple(expected.shape)}"
        )
    low, high = model.quantity.data_range
    span = max(high - low, float(expected.max() - expected.min()))
    off = float((found - expected).abs().max()) / span
    if not off <= TOLERANCE:
        raise GraphError(
            f"{model.name}: the output of its graph in {runtime} differs from the network's by "
            f"{off:.2g} of the range of values; at most {TOLERANCE:g} is allowed"
        )


def _noise(model: Model, shape: tuple[int, int, int]) -> Tensor:
    """Return images of random values in the data range."""
    count, height, width = shape
    low, high = model.quantity.data_range
    source = torch.Generator().manual_seed(0)
    images = torch.rand(count, model.channels or 1, height, width, generator=source)
    return low + (high - low) * images
