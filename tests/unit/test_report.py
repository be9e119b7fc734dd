"""The report: what it says, that it stands alone, and that hostile names stay text."""

import base64
import importlib.util
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from headstart import report
from headstart.core.errors import UserError
from headstart.core.exhibits import Exhibit, Exhibits, Explanation, Weight
from headstart.core.record import Record, SkippedFile
from headstart.data.inspect import LEAK
from headstart.report import inputs, tables, words


def _made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("made_run", Path(__file__).parents[1] / "made_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = _made()
CLASSES, N, DELIVERED = MADE.CLASSES, MADE.N, MADE.DELIVERED


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run as `fit` leaves it, with numbers made up."""
    return MADE.run(tmp_path / "photos run")


def _mistakes(run: Path, n: int = inputs.MISTAKES) -> tuple[str, ...]:
    return tuple(m.name for m in inputs.worst(inputs.outputs(run, inputs.record(run)), n))


def _exhibit(run: Path, pictures: dict[str, bytes], explained: tuple[Explanation, ...] = ()) -> None:
    coded = {name: f"data:image/jpeg;base64,{base64.b64encode(one).decode()}" for name, one in pictures.items()}
    shown = {name: Exhibit(picture=one) for name, one in coded.items()}
    (run / inputs.EXHIBITS).write_text(Exhibits(shown=shown, explained=explained).to_json())


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
    measured = MADE.measures() | changed
    (run / "record.json").write_text(Record.model_validate_json(
        json.dumps(json.loads(MADE.record().to_json()) | {"measures": measured})
    ).to_json())  # fmt: skip
    return _Page(report.write(run).read_text(encoding="utf-8")).text


def test_what_does_not_show_is_not_claimed(run: Path) -> None:
    unsettled = MADE.measures()["curve"]
    unsettled["saved"] = unsettled["saved"] | {"ratio": {"value": 1.4, "low": 0.125, "high": 3.0}}
    text = _page_with(
        run, curve=unsettled, prices=[{"label": None, "had": 192, "worth": MADE.span(0.0)}], threshold=None
    )
    assert "Whether linear needs fewer labels than random-features is not settled." in text
    assert "1.4 times as many, under 0.12 to 3" in text
    assert "Nothing that shows" in text
    assert "validation part" not in text


def test_a_page_without_a_learning_curve_says_why(run: Path) -> None:
    never = MADE.measures()["threshold"] | {"epochs": None, "seconds": None}
    text = _page_with(run, curve=None, why_none="no closed form transfers", priced=None, prices=[], threshold=never)
    assert "No learning curve: no closed form transfers." in text
    assert "lp-ft never got 58 % of the validation part right, the best of scratch; scratch by epoch 5" in text
    without = json.loads(MADE.record().to_json())
    del without["measures"]
    (run / "record.json").write_text(json.dumps(without))
    assert "worth in labels" not in _Page(report.write(run).read_text(encoding="utf-8")).text


def test_page_needs_no_network_and_runs_no_script(run: Path) -> None:
    _exhibit(run, {name: MADE.jpeg(0) for name in _mistakes(run)})
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
    found = inputs.outputs(run, MADE.record())
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
    _exhibit(run, {names[0]: MADE.jpeg(1), "nowhere on the page.jpg": MADE.jpeg(2)})
    images = [a for t, a in _Page(report.write(run).read_text()).tags if t == "img"]
    assert {a["alt"] for a in images} == {names[0]}


def test_test_rows_are_preferred(run: Path) -> None:
    path = run / "predictions.parquet"
    both = [pq.read_table(path), MADE.predictions("test", 1, DELIVERED, 1.0)]
    pq.write_table(pa.concat_tables(both), path)
    found = inputs.outputs(run, MADE.record())
    assert found is not None
    assert found.on == "test"
    assert _mistakes(run) == ()


def test_run_without_curves_predictions_gain_or_plan_still_has_a_page(run: Path) -> None:
    (run / "history.jsonl").unlink()
    (run / "predictions.parquet").unlink()
    plain = MADE.record().model_copy(update={"gain": None, "control": None, "stage_curve": (), "candidates": ()})
    (run / "record.json").write_text(plain.to_json())
    text = _Page(report.write(run).read_text(encoding="utf-8")).text
    assert "not measured" in text
    assert "Training curves" not in text
    assert _mistakes(run) == ()


def test_folder_without_a_record_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected the folder of a finished run, got .*holds no record.json"):
        report.write(tmp_path)


def test_repeats_count_once_in_the_confusion_matrix(run: Path) -> None:
    found = inputs.outputs(run, MADE.record())
    assert found is not None
    matrix = tables.counts(found)
    assert matrix.sum() == pytest.approx(N)
    assert matrix.sum(axis=1) == pytest.approx(np.full(4, N / 4))
    rows = tables.per_class(matrix, CLASSES, {"crack": 100})
    assert [r["recall"] for r in rows] == sorted(r["recall"] for r in rows)
    pairs = tables.confused(matrix, CLASSES)
    assert (pairs[0]["truth"], pairs[0]["said"]) in {(CLASSES[i], CLASSES[(i + 1) % 4]) for i in range(4)}


def test_answers_are_those_that_the_class_weights_choose(run: Path) -> None:
    plain = MADE.record()
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
    names = [c.name for c in tables.ranked(MADE.record())]
    assert names[0] == DELIVERED
    assert names[-2:] == ["finetune", "zero-shot"]
    lower = MADE.record().model_copy(update={"metric": "log_loss"})
    assert tables.ranked(lower)[0].name == "majority"


def test_numbers_are_written_for_people() -> None:
    assert words.value("macro_f1", 0.5) == "50.0 %"
    assert words.value("log_loss", 0.5) == "0.500"
    assert words.change("balanced_accuracy", -0.012) == "-1.2 points"
    assert words.seconds(59.99) == "60.0 s"
    assert words.seconds(3600) == "1 h 00 min"


SECRET = "the patient in bed seven"


def _suspicious(run: Path) -> str:
    """Make one label surely wrong, and say what would be shown of it; its name."""
    path = run / "predictions.parquet"
    rows = pq.read_table(path).to_pylist()
    name = rows[0]["example"]
    for row in rows:
        if row["example"] == name:
            row["truth"] = CLASSES[2]
            row["probabilities"] = [0.001, 0.997, 0.001, 0.001]
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)
    return name


def test_suspect_labels_are_shown_with_what_they_rather_are(run: Path) -> None:
    name = _suspicious(run)
    found = inputs.suspicious(run, MADE.record(), 12)
    assert (found[0].name, found[0].given, found[0].likely) == (name, CLASSES[2], CLASSES[1])
    assert found[0].probability > 0.99
    assert name in inputs.exhibited(run)
    _exhibit(run, {name: MADE.jpeg(1)})
    text = _Page(report.write(run).read_text(encoding="utf-8")).text
    assert f"labelled {CLASSES[2]} , rather {CLASSES[1]} over 99 % {name}" in text


def _with_groups(run: Path, **changed: Any) -> str:
    """The page, and a record with other duplicates."""
    plain = MADE.record()
    data = plain.data.model_copy(update=changed)
    (run / "record.json").write_text(plain.model_copy(update={"data": data}).to_json())
    return _Page(report.write(run).read_text(encoding="utf-8")).text


def test_leaks_and_duplicates_stand_side_by_side_with_their_parts(run: Path) -> None:
    zero, one, leak = "0/photo '0'.jpg", "1/photo '1'.jpg", "copy.jpg"
    tested = MADE.predictions("test", 1, DELIVERED, 1.0)
    kept = pq.read_table(run / "predictions.parquet")
    tested = tested.filter(pc.field("example") == "2/photo '2'.jpg")
    pq.write_table(
        pa.concat_tables([kept.filter(pc.field("example") != "2/photo '2'.jpg"), tested]), run / "predictions.parquet"
    )
    groups = (("a.jpg", "b.jpg"), (zero, one), (leak, "2/photo '2'.jpg"))
    text = _with_groups(run, duplicates=groups, skipped=(SkippedFile(name=leak, why=LEAK),))
    said = text[text.index("Leaks and duplicates Examples") :]
    order = [said.index(word) for word in ("leak , mended", "labelled unlike", "duplicates a.jpg")]
    assert order == sorted(order)
    assert f"left out of the training part {leak} test: {CLASSES[2]} 2/photo '2'.jpg" in said
    assert f"training: {CLASSES[0]} {zero} training: {CLASSES[1]} {one}" in said


def _explained(run: Path, exhibit: Exhibit, parts: tuple[Weight, ...], stated: float = 0.9) -> str:
    name = _mistakes(run)[0]
    one = Explanation(example=name, truth=CLASSES[0], said=CLASSES[1], stated=stated, parts=parts)
    (run / inputs.EXHIBITS).write_text(Exhibits(shown={name: exhibit}, explained=(one,)).to_json())
    return report.write(run).read_text(encoding="utf-8")


def test_words_that_matter_are_marked_by_strength_and_sign(run: Path) -> None:
    parts = (Weight(part="a <b>dull</b>", fall=0.8), Weight(part="but", fall=-0.3), Weight(part="film", fall=0.01))
    html = _explained(run, Exhibit(words=SECRET), parts)
    assert '<span class="for l4">a &lt;b&gt;dull&lt;/b&gt;</span>' in html
    assert '<span class="against l2">but</span>' in html
    assert "film " in html
    assert ">film</span>" not in html
    assert 'without "a <b>dull</b>": -80 points; without "but": +30 points' in _Page(html).text


def test_patches_lie_over_the_picture_and_windows_behind_the_series(run: Path) -> None:
    patches = (
        Weight(part="row 1", span=(0, 0, 0.5, 0.5), fall=0.6),
        Weight(part="row 2", span=(0, 0.5, 0.5, 1), fall=0),
    )
    html = _explained(run, Exhibit(picture="data:image/png;base64,AAAA"), patches)
    assert re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="0.5000" height="0.5000" class="for l4"/>', html) == [
        ("0.0000",) * 2
    ]
    windows = (
        Weight(part="steps 1 to 5", span=(0, 5), fall=-0.4),
        Weight(part="steps 6 to 10", span=(5, 10), fall=0.1),
    )
    html = _explained(run, Exhibit(lines=((0.0, 1.0, None, 2.0, 1.0),)), windows)
    assert '<rect x="0.0" y="0.0" width="100.0" height="90.0" class="against l4"/>' in html
    assert re.search(r'<path d="M0\.0 [\d.]+L50\.0 [\d.]+M150\.0 [\d.]+L200\.0 [\d.]+" class="c1"/>', html)


def test_cells_that_matter_are_bars_and_odds_tell_where_probabilities_do_not_move(run: Path) -> None:
    parts = (Weight(part="age 70", fall=0.25), Weight(part="sex f", fall=-0.5))
    text = _Page(_explained(run, Exhibit(cells={"age": "70", "sex": "f"}), parts)).text
    assert "sex f -50 points age 70 +25 points" in text
    sure = (Weight(part="age 70", fall=0.0, odds=3.0), Weight(part="sex f", fall=0.0001, odds=0.5))
    text = _Page(_explained(run, Exhibit(cells={"age": "70", "sex": "f"}), sure, 1.0)).text
    assert "No part matters by itself; age 70 comes nearest." in text


def test_what_is_private_is_not_on_the_page(run: Path) -> None:
    parts = (Weight(part=SECRET, fall=0.5), Weight(part="x", fall=0.1))
    assert SECRET in _explained(run, Exhibit(words=SECRET), parts)
    (run / inputs.EXHIBITS).unlink()
    html = report.write(run).read_text(encoding="utf-8")
    assert SECRET not in html
    assert "<img" not in html
    assert "What answers rest on" not in html
    assert "exhibits.json" not in html


def test_a_page_says_why_nothing_is_explained(run: Path) -> None:
    (run / inputs.EXHIBITS).write_text(Exhibits(shown={}, why_none="the source is gone").to_json())
    assert "Nothing was explained: the source is gone." in _Page(report.write(run).read_text(encoding="utf-8")).text


def test_headings_are_in_order_and_tables_have_headers(run: Path) -> None:
    page = _Page(report.write(run).read_text(encoding="utf-8"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(a.get("scope") in {"col", "row"} for tag, a in page.tags if tag == "th")
    assert len([tag for tag, _ in page.tags if tag == "table"]) == len(
        [tag for tag, _ in page.tags if tag == "caption"]
    )
    ids = {a["id"] for _, a in page.tags if "id" in a}
    assert all((a["href"] or "")[1:] in ids for tag, a in page.tags if tag == "a")
    assert ("html", {"lang": "en"}) in page.tags
    assert all(a.get("aria-label") for tag, a in page.tags if tag == "figure")


@pytest.mark.parametrize("kind", ["multi-label", "regression"])
def test_other_kinds_of_task_have_a_page(run: Path, kind: str) -> None:
    plain = json.loads(MADE.record().to_json())
    numbers = kind == "regression"
    plain["tasks"][0] |= {"kind": kind, "classes": [] if numbers else list(CLASSES)}
    plain["metric"] = "r2" if numbers else "mean_average_precision"
    plain["calibration"] |= {"off": 1.5} if numbers else {}
    (run / "record.json").write_text(json.dumps(plain))
    rng = np.random.default_rng(0)
    width = 1 if numbers else len(CLASSES)
    truths = [repr(float(i)) if numbers else json.dumps([CLASSES[i % 4]]) for i in range(N)]
    stated = [[float(i) + rng.normal()] if numbers else rng.random(width).tolist() for i in range(N)]
    rows = [
        {"example": f"row {i}", "truth": truths[i], "arm": DELIVERED, "on": "out-of-fold", "probabilities": stated[i]}
        for i in range(N)
    ]
    table = pa.Table.from_pylist(rows).replace_schema_metadata(
        {"classes": json.dumps([] if numbers else CLASSES), "kind": kind}
    )
    pq.write_table(table, run / "predictions.parquet")
    text = _Page(report.write(run).read_text(encoding="utf-8")).text
    assert "Largest mistakes" in text
    assert "Labels to look at again" not in text
    assert ("The band holds 90 %" in text) == numbers
    assert len(inputs.telling(run, 6)) == 6
