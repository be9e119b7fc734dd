"""`export`: writes the folder, and lets it appear only where it says the same as the run that it was made from."""

import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from torch import nn

from headstart.core.errors import UserError
from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Item
from headstart.data.labelled import usable
from headstart.export import formats
from headstart.export.graph import graph
from headstart.export.model_card import model_card, use
from headstart.modalities.catalog import opened, reader
from headstart.modalities.series.values import unpacked
from headstart.runs import free, read_record
from headstart.saved import Saved
from headstart.sources.card import KINDS, Input, TextInput

Format = Literal["onnx", "torch", "openvino"]
FORMATS: Mapping[Format, Callable[[nn.Module, Sequence[Input], Path], None]] = {
    "onnx": formats.onnx,
    "torch": formats.torch,
    "openvino": formats.openvino,
}
TOLERANCE = 1e-3  # of a probability; of a number, of the largest one
INSIDE = "from headstart.export.standalone.image import"  # so that it is checked like other code
STANDALONE = Path(__file__).parent / "standalone"
KEPT = ("record.json", "model.json", "model.safetensors", "card.json")  # of a run, for `hs.load`


@dataclass(frozen=True)
class Compared:
    """Graph and run, on the same examples.

    Attributes:
        n: examples.
        difference: the largest between what the two state of any of them.
    """

    n: int
    difference: float


@dataclass(frozen=True)
class Exported:
    """A folder that was written.

    Attributes:
        folder: it lies there.
        compared: None where no examples were named, or the graph's format has no predictor.
    """

    folder: Path
    compared: Compared | None


def export(
    run: str | Path,
    *,
    out: str | Path | None = None,
    format: Format = "onnx",
    examples: Sequence[str | Path] = (),
    hub: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a delivered model as a graph with its preprocessing and a model card; in ONNX with a predictor of a page.

    Args:
        run: a finished one.
        out: a new folder; `<run>-<format>` where none is named.
        format: of the graph.
        examples: to compare graph and run on, as `predict` takes them. The folder has none of them in it.
        hub: also what `hs.load` opens: record, card and weights, with their hashes.
        progress: where steps are shown.

    Raises:
        UserError: a model that is no graph, a folder that is taken, a package that is missing, or a graph that says
            something else than the run.
    """
    shown, run = progress or Silent(), Path(run)
    folder = free(Path(out).resolve() if out is not None else run.with_name(f"{run.name}-{format}"))
    record, saved = read_record(run), Saved.open(run)
    model, inputs = graph(saved)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    try:
        with shown.step(f"writing {format}"):
            FORMATS[format](model, inputs, aside)
        _describe(saved, inputs, aside, alone=format == "onnx")
        (aside / "README.md").write_text(model_card(record, saved.kind, use(format, saved.kind)), encoding="utf-8")
        for name in KEPT if hub else ():
            shutil.copyfile(run / name, aside / name)
        compared = _compared(saved, aside, examples, shown) if format == "onnx" and examples else None
        if folder.exists():
            folder.rmdir()
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Exported(folder, compared)


def _describe(saved: Saved, inputs: Sequence[Input], folder: Path, *, alone: bool) -> None:
    """preprocess.json, the tokenizers, what prepares examples by them, and the predictor of a graph in ONNX."""
    described: list[dict[str, Any]] = []
    for name, taken in zip(formats.names(inputs), inputs, strict=True):
        facts = {"name": name, **taken.model_dump(mode="json")}
        if isinstance(taken, TextInput):
            facts["tokenizer"] = f"{name}.tokenizer.json"
            (folder / facts["tokenizer"]).write_text(taken.tokenizer, encoding="utf-8")
        described.append(facts)
    data, outputs = KINDS[type(inputs[0])], list(saved.task.classes) or [saved.task.name]
    about = {
        "schema": 1, "data": data, "kind": saved.task.kind, "outputs": outputs,
        "class_weights": saved.reading.weights.tolist(), "off": saved.off, "inputs": described,
    }  # fmt: skip
    (folder / "preprocess.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(STANDALONE / f"{data}.py", folder / "prepare.py")
    if not alone:
        return
    text = (STANDALONE / "predict.py").read_text(encoding="utf-8")
    (folder / "predict.py").write_text(text.replace(INSIDE, "from prepare import"), encoding="utf-8")


def _compared(saved: Saved, folder: Path, examples: Sequence[str | Path], shown: Progress) -> Compared:
    """What the predictor in the folder states of some examples, beside what the run does.

    Raises:
        UserError: it is too large.
    """
    with shown.step("comparing"), tempfile.TemporaryDirectory() as scratch:
        said = [list(one.probabilities.values()) or [one.value] for one in saved.predict(examples, Silent())]
        ours = np.array(said, dtype=float)
        items = usable(opened(reader(saved.kind), examples, saved.column), "an example")
        given = (_alone(saved.kind, item, Path(scratch)) for item in items)
        theirs = np.array(list(_predictor(folder).predict(given, folder)))
    unit = max(float(np.abs(ours).max()), 1.0) if saved.task.kind == "regression" else 1.0
    compared = Compared(len(ours), float(np.abs(ours - theirs).max()) / unit)
    if not compared.difference <= TOLERANCE:
        expected = f"a graph that says what the run says, to {TOLERANCE:g}"
        raise UserError(
            expected, f"a difference of {compared.difference:.2g}", "Please report this; nothing was written."
        )
    return compared


def _alone(kind: str, item: Item, scratch: Path) -> str:
    """An example as the predictor takes it: the path of a picture, or of a text or series of its own."""
    if kind == "text":
        path = scratch / "text.txt"
        path.write_text(item.content, encoding="utf-8")
        return str(path)
    if kind == "image":
        return str(item.path)
    path = scratch / "series.csv"
    np.savetxt(path, unpacked(item.content), delimiter=",", fmt="%.9g")
    return str(path)


def _predictor(folder: Path) -> ModuleType:
    """The predictor that was written, as a user runs it."""
    before = sys.modules.get("prepare")
    try:
        sys.modules["prepare"] = _module(folder / "prepare.py")  # as the predictor calls it
        return _module(folder / "predict.py")
    finally:
        sys.modules.pop("prepare")
        if before is not None:
            sys.modules["prepare"] = before
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, "it was just written"
    assert spec.loader is not None, "likewise"
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
