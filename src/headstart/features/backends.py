"""Ways to run a frozen net: each gives a function from uint8 pixels to pooled float32 features of every stage."""

import hashlib
import logging
import shutil
import uuid
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from headstart.core.extras import installed, require
from headstart.features import devices
from headstart.sources.card import ImageInput
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet

Tap = Callable[[Tensor], dict[str, Tensor]]
Backend = Literal["eager", "compile", "openvino"]
CONVERTED = "converted"  # folder of the cache
EXAMPLES = 32  # of the batch that OpenVINO is shown; what is left over goes through it one by one


class Mode(BaseModel, frozen=True, extra="forbid"):
    """How a source's features are computed.

    Attributes:
        backend: what runs the net.
        exact: stages, counted from the input, that are computed in float32 while all behind them is bfloat16; None
            is float32 throughout. Early stages carry most of the error of low precision: their maps are large and
            little of what they hold reaches the output.
        disk: how the cache keeps them; float16 halves it, and values that do not fit in it stay float32.
    """

    backend: Backend = "eager"
    exact: int | None = None
    disk: Literal["float16", "float32"] = "float16"

    @property
    def precision(self) -> str:
        """In words."""
        if self.exact is None:
            return "float32"
        return "bfloat16" if self.exact == 0 else f"bfloat16 behind {self.exact} stages of float32"

    def __str__(self) -> str:
        return self.precision if self.backend == "eager" else f"{self.precision}, {self.backend}"


FLOAT32 = Mode()


def tap(source: Source, mode: Mode, cache: Path) -> Tap:
    """The source's features, as the mode says.

    Args:
        source: with its preprocessing and stages.
        mode: backend and precision.
        cache: a folder where a backend may keep what it has converted.

    Returns:
        (n, ...) prepared examples -> stage -> (n, D) float32 on the processor.

    Raises:
        UserError: the backend's package is not installed.
    """
    return BACKENDS[mode.backend](source, mode.exact, cache)


def at_once(source: Source, mode: Mode, cache: Path) -> Mode:
    """The mode, if its backend can start at once here; else float32 in torch as it is, which any processor has.

    For examples that are few or come later: building a graph pays for thousands. Low precision was only taken where it
    agrees with float32.
    """
    if mode.backend == "eager":
        return mode
    if mode.backend == "openvino" and installed("openvino"):
        paths = _paths(require("openvino", "fast"), source, mode.exact or 0, cache)
        if all(path.exists() for path in paths):
            return mode
    return FLOAT32


def eager(source: Source, exact: int | None, _cache: Path) -> Tap:
    """Torch as it is, channels last; low precision by autocast, which keeps statistics in float32."""
    net = source.tapped()
    if exact:
        net.trunk.get_submodule(source.card.stages[exact - 1].tap).register_forward_hook(_lower)
    return _run(net, low=exact == 0)


def compiled(source: Source, exact: int | None, _cache: Path) -> Tap:
    """torch.compile with frozen weights: norms are folded into convolutions. One precision for all stages."""
    from torch._inductor import config

    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that there is no CUDA is no news
    net = source.tapped()
    net.trunk = torch.compile(net.trunk)  # type: ignore[assignment]
    run = _run(net, low=exact is not None)

    def tapped(pixels: Tensor) -> dict[str, Tensor]:
        with config.patch(freezing=True):
            return run(pixels)

    return tapped


def _run(net: StagedNet, *, low: bool) -> Tap:
    device = devices.place(net)

    def tapped(pixels: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=low):
            found = net.stages(pixels.to(device))
        return {name: values.float().cpu() for name, values in found.items()}

    return tapped


def _lower(_module: nn.Module, _inputs: object, output: Tensor) -> None:
    """From here on in bfloat16, until the end of the surrounding context restores what was."""
    torch.set_autocast_dtype(output.device.type, torch.bfloat16)
    torch.set_autocast_enabled(output.device.type, True)


def openvino(source: Source, exact: int | None, cache: Path) -> Tap:
    """OpenVINO's runtime for processors; the net is converted once and kept.

    A model of it has one precision, so two stand for a net whose first stages are exact: the first gives them and what
    comes out of the last of them, the second goes on from there.

    Raises:
        UserError: the package is not installed.
    """
    runtime = require("openvino", "fast")
    hints = {"PERFORMANCE_HINT": "LATENCY", "CACHE_DIR": str(cache / CONVERTED / "compiled")}
    names = source.card.stage_names()
    _converted(runtime, source, exact or 0, cache)  # now: what is compiled from it later is quick

    @lru_cache(maxsize=2)
    def requests(count: int) -> list[Any]:
        parts = [_sized(part, count) for part in _converted(runtime, source, exact or 0, cache)]
        precisions = ("f32", "bf16")[-len(parts) :] if exact is not None else ("f32",)
        return [
            runtime.compile_model(part, "CPU", {**hints, "INFERENCE_PRECISION_HINT": precision}).create_infer_request()
            for part, precision in zip(parts, precisions, strict=True)
        ]

    def run(given: Any) -> list[Any]:
        found: list[Any] = []
        for at, request in enumerate(there := requests(len(given))):
            results = request.infer([given], share_inputs=True, share_outputs=True)
            found += [results[place] for place in range(len(results))]
            given = found.pop() if at < len(there) - 1 else given
        return [rows.copy() for rows in found]

    def tapped(pixels: Tensor) -> dict[str, Tensor]:
        whole = len(pixels) - len(pixels) % EXAMPLES
        parts = [*pixels[:whole].split(EXAMPLES), *pixels[whole:].split(1)] if whole else pixels.split(1)
        found = zip(*(run(part.numpy()) for part in parts if len(part)), strict=True)
        return {name: torch.from_numpy(np.concatenate(rows)) for name, rows in zip(names, found, strict=True)}

    return tapped


def _sized(model: Any, count: int) -> Any:
    """The model for so many examples at a time: shapes are fixed, and a batch filled up costs as much as a full one."""
    shape = model.inputs[0].get_partial_shape()
    if shape[0].get_length() != count:
        shape[0] = count
        model.reshape(shape)
    return model


BACKENDS: Mapping[Backend, Callable[[Source, int | None, Path], Tap]] = {
    "eager": eager,
    "compile": compiled,
    "openvino": openvino,
}


def _converted(runtime: ModuleType, source: Source, exact: int, cache: Path) -> list[Any]:
    """OpenVINO's models of a source, from the cache if they were made before."""
    paths = _paths(runtime, source, exact, cache)
    folder = paths[0].parent
    if not all(path.with_suffix(".bin").exists() and path.exists() for path in paths):
        aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        aside.mkdir(parents=True)
        for path, model in zip(paths, _convert(runtime, source, exact), strict=True):
            runtime.save_model(model, aside / path.name, compress_to_fp16=False)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process was quicker
            aside.replace(folder)
    return [runtime.Core().read_model(path) for path in paths]


def _paths(runtime: ModuleType, source: Source, exact: int, cache: Path) -> list[Path]:
    """Where they are kept."""
    what = f"{source.identity} {exact} {runtime.__version__} {torch.__version__}"
    folder = cache / CONVERTED / hashlib.sha256(what.encode()).hexdigest()[:32]
    return [folder / f"{part}.xml" for part in range(2 if exact else 1)]


def _convert(runtime: ModuleType, source: Source, exact: int) -> list[Any]:
    assert isinstance(source.input, ImageInput), "engine.modes keeps others away: their shapes change"
    side, planes = source.input.size, max(source.input.channels, 3)
    example = torch.zeros(EXAMPLES, side, side, planes, dtype=torch.uint8)
    boundary = source.card.stages[exact - 1].tap if exact else None
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: shapes are fixed here
        net = _Stages(source.tapped(), boundary)
        whole = runtime.convert_model(net, example_input=example, input=list(example.shape))
    return [whole] if boundary is None else _split(runtime, whole, exact)


def _split(runtime: ModuleType, whole: Any, exact: int) -> list[Any]:
    """A model that gives the first stages and the boundary (its last output), and one that goes on from that."""
    behind = whole.clone()
    results = whole.get_results()
    first = runtime.Model([*results[:exact], results[-1]], whole.get_parameters())
    *stages, last = behind.get_results()
    boundary = last.input(0).get_source_output()
    given = runtime.opset13.parameter(boundary.get_partial_shape(), boundary.get_element_type())
    boundary.replace(given.output(0))
    return [first, runtime.Model(stages[exact:], [given])]


class _Stages(nn.Module):
    """All stages, and what comes out at a boundary, as a tuple: converters understand that."""

    def __init__(self, net: StagedNet, boundary: str | None) -> None:
        super().__init__()
        self.net = net
        self.reached: list[Tensor] = []
        if boundary is not None:
            net.trunk.get_submodule(boundary).register_forward_hook(self._reach)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        self.reached.clear()
        stages = tuple(self.net.stages(pixels).values())
        return (*stages, *self.reached)

    def _reach(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self.reached.append(output)
