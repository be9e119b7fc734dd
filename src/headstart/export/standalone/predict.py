"""Stands alone: `python predict.py EXAMPLES...` prints a line of JSON for each. Needs onnxruntime, numpy."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from headstart.export.standalone.image import prepared

HERE = Path(__file__).parent


def predict(examples: Iterable[str], folder: Path = HERE) -> Iterator[Any]:
    """(K,) what the model states of each: probabilities of classes or labels, or a number."""
    about = json.loads((folder / "preprocess.json").read_text(encoding="utf-8"))
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3  # errors: it warns of sizes that it had not expected, and goes on
    session = onnxruntime.InferenceSession(folder / "model.onnx", quiet)
    for one in examples:
        given = {taken["name"]: prepared(one, taken, folder) for taken in about["inputs"]}
        stated: Any = session.run(None, given)[0]
        yield stated[0]


def said(row: Any, about: dict[str, Any]) -> Any:
    """The class, the labels or the number."""
    if about["kind"] == "regression":
        return float(row[0])
    if about["kind"] == "multi-label":
        return [name for name, p in zip(about["outputs"], row, strict=True) if p >= 0.5]
    return about["outputs"][int(np.argmax(row * about["class_weights"]))]


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("usage: python predict.py EXAMPLE...")
    about = json.loads((HERE / "preprocess.json").read_text(encoding="utf-8"))
    for one, row in zip(sys.argv[1:], predict(sys.argv[1:]), strict=True):
        stated = {name: round(float(p), 4) for name, p in zip(about["outputs"], row, strict=True)}
        sys.stdout.write(json.dumps({"example": one, "said": said(row, about), "stated": stated}) + "\n")
