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
    """(K,) what the model states of each: probabilities of classes or labels, or a number; the error of a bad one."""
    about = json.loads((folder / "preprocess.json").read_text(encoding="utf-8"))
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3  # errors: it warns of sizes that it had not expected, and goes on
    session = onnxruntime.InferenceSession(folder / "model.onnx", quiet)
    for one in examples:
        try:
            given = {taken["name"]: prepared(one, taken, folder) for taken in about["inputs"]}
            stated: Any = session.run(None, given)[0]
            yield stated[0]
        except Exception as error:  # noqa: BLE001 - decoders fail in their own ways, and the others are answered
            yield error


def said(row: Any, about: dict[str, Any]) -> Any:
    """The class, the labels or the number."""
    if about["kind"] == "regression":
        return float(row[0])
    if about["kind"] == "multi-label":
        return [name for name, p in zip(about["outputs"], row, strict=True) if p >= 0.5]
    return about["outputs"][int(np.argmax(row * about["class_weights"]))]


def answer(row: Any, about: dict[str, Any]) -> dict[str, Any]:
    """What is said of one example; or, in place of what is stated of it, why it could not be read."""
    if isinstance(row, Exception):
        return {"error": str(row)}
    stated = {name: round(float(p), 4) for name, p in zip(about["outputs"], row, strict=True)}
    return {"said": said(row, about), "stated": stated}


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("usage: python predict.py EXAMPLE...")
    about = json.loads((HERE / "preprocess.json").read_text(encoding="utf-8"))
    failed = False
    for one, row in zip(sys.argv[1:], predict(sys.argv[1:]), strict=True):
        told = answer(row, about)
        failed = failed or "error" in told
        sys.stdout.write(json.dumps({"example": one, **told}) + "\n")
    sys.exit(failed)
