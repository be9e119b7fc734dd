"""A comparison on made pictures: the table, what is kept, and what is not computed again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import headstart as hs
from headstart.advisor import cells as cells_
from headstart.core.comparison import NONE, ComparisonRecord
from headstart.core.progress import Silent, Standing
from headstart.evaluation import evidence as kept
from headstart.evaluation.compare import figures
from headstart.metrics.scores import metric
from headstart.training.loop import DivergedError

RESNET, VIT = "random:test_resnet@64", "random:test_vit@64"
CLOSED = ("linear", "earlier")


def compare(photos: Path, out: Path, **changes: Any) -> ComparisonRecord:
    asked: dict[str, Any] = {"sources": [RESNET, VIT, NONE], "strategies": CLOSED, "seeds": 2, "epochs": 1}
    return hs.compare(photos, out=out, **(asked | changes))


def timeless(record: ComparisonRecord) -> dict[str, Any]:
    values = record.model_dump(exclude={"seconds", "work_done"})
    for cell in values["cells"]:
        del cell["seconds"]
    return values


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ComparisonRecord, Path]:
    """Two sources, two closed forms, the controls - one of which trains -, two fold maps."""
    out = tmp_path_factory.mktemp("compared") / "table"
    return compare(photos, out), out


def test_the_table_has_every_cell_and_gains_over_the_strongest_control(made: tuple[ComparisonRecord, Path]) -> None:
    record, out = made
    cells = {cell.name: cell for cell in record.cells}
    controls = {f"{name}@{NONE}" for name in ("majority", "raw", "random-features", "scratch")}
    assert cells.keys() == {f"{strategy}@{source}" for strategy in CLOSED for source in (RESNET, VIT)} | controls
    choices = 2  # of the net from scratch, one a fold map
    assert record.work_done == {"units_computed": 10 * len(cells) + choices, "units_resumed": 0}
    best = max((c for c in record.cells if c.role == "control"), key=lambda c: c.score.value if c.score else 0)
    assert record.control == best.name
    for cell in record.cells:
        assert cell.score is not None
        assert cell.score.n == 60
        assert cell.seconds > 0
        assert (cell.gain is not None) == (cell.claim is not None) == (cell.role == "transfer")
        if cell.gain is not None and best.score is not None:
            assert cell.gain.value == pytest.approx(cell.score.value - best.score.value)
    scored = [cell.score.value for cell in record.cells if cell.score]
    assert scored == sorted(scored, reverse=True)
    majority = cells[f"majority@{NONE}"].score
    assert majority is not None
    assert majority.value == pytest.approx(0.5, abs=0.1)
    assert max(scored) > 0.65
    plan = cells[f"scratch@{NONE}"].plan
    assert plan is not None
    assert plan.phases[-1].epochs == 1
    assert {p.name for p in out.iterdir()} >= {"comparison.json", "predictions.parquet", "work.json", "units"}


def test_the_file_is_the_record_and_the_figures_follow_from_the_predictions(
    made: tuple[ComparisonRecord, Path],
) -> None:
    record, out = made
    text = (out / "comparison.json").read_text()
    assert json.loads(text)["schema"] == 1
    assert ComparisonRecord.from_json(text) == record
    again = figures(kept.read(out / "predictions.parquet"), metric("accuracy"), record.seed)
    assert again.control == record.control
    for cell in record.cells:
        assert cell.score is not None
        assert again.scores[cell.name].low == pytest.approx(cell.score.low, abs=1e-12)
        if cell.gain is not None:
            gain = again.gains[cell.name]
            assert (gain.low, gain.high) == pytest.approx((cell.gain.low, cell.gain.high), abs=1e-12)


def test_asked_again_nothing_is_computed(made: tuple[ComparisonRecord, Path], photos: Path) -> None:
    record, out = made
    again = compare(photos, out)
    assert again.work_done == {"units_computed": 0, "units_resumed": record.work_done["units_computed"]}
    assert timeless(again) == timeless(record)


class _Told(Silent):
    """Progress that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.standings: list[Standing] = []

    def scored(self, standing: Standing) -> None:
        self.standings.append(standing)

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_larger_table_computes_only_what_is_new(made: tuple[ComparisonRecord, Path], photos: Path) -> None:
    record, out = made
    before = record.work_done["units_computed"]
    told = _Told()
    wider = compare(photos, out, strategies=[*CLOSED, "prototype"], progress=told)
    assert wider.work_done == {"units_computed": 2 * 2 * 5, "units_resumed": before}
    assert told.lines[0].startswith("2 cells to do, 20 pieces of work: about")
    last = [one for one in told.standings if one.done]
    assert {(one.arm, one.source) for one in last} == {(cell.strategy, cell.source) for cell in wider.cells}
    for one in last:  # by the names that its row has, and with the score that it gets
        (cell,) = (cell for cell in wider.cells if (cell.strategy, cell.source) == (one.arm, one.source))
        assert cell.score is not None
        assert (one.score, one.on) == (pytest.approx(cell.score.value, abs=1e-6), "10 of 10 folds")
    longer = compare(photos, out, seeds=3)
    assert longer.work_done == {"units_computed": before // 2, "units_resumed": before}


def test_a_killed_comparison_goes_on_where_it_was(
    made: tuple[ComparisonRecord, Path], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, _ = made
    left, measure = [7 * 10 + 4], cells_.measure  # all closed forms, then four folds of the net from scratch

    def until_killed(*asked: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return measure(*asked)

    with monkeypatch.context() as patch:
        patch.setattr(cells_, "measure", until_killed)
        with pytest.raises(KeyboardInterrupt):
            compare(photos, tmp_path / "table")
    finished = len(list((tmp_path / "table" / "units").glob("[!.]*.safetensors")))
    assert finished == 7 * 10 + 4 + 1  # and the choice of the epochs
    again = compare(photos, tmp_path / "table")
    assert again.work_done["units_resumed"] == finished
    assert sum(again.work_done.values()) == record.work_done["units_computed"]
    assert timeless(again) == timeless(record)


def diverge(*_: Any, **__: Any) -> Any:
    raise DivergedError(1, 1e-3)


def test_a_cell_that_diverges_is_a_row_and_not_the_end(
    made: tuple[ComparisonRecord, Path], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells_, "_chosen", diverge)
    record = compare(photos, made[1], sources=[RESNET, NONE])
    failed = record.cells[-1]
    assert (failed.name, failed.status, failed.score) == (f"scratch@{NONE}", "failed", None)
    assert "a finite training loss" in failed.why
    assert len(record.cells) == 6


def test_if_nothing_comes_through_it_is_said(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells_, "_chosen", diverge)
    with pytest.raises(hs.UserError, match="expected a cell that can be trained, got expected a finite training loss"):
        compare(photos, tmp_path / "table", sources=[RESNET], strategies=["lp-ft"])


def test_if_nothing_applies_it_is_said(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(hs.UserError, match="expected a strategy that applies to a source, got experts@random"):
        compare(photos, tmp_path / "table", sources=[RESNET], strategies=["experts"])


def test_without_none_there_are_no_gains_and_a_note_says_so(made: tuple[ComparisonRecord, Path], photos: Path) -> None:
    record = compare(photos, made[1], sources=[RESNET])
    assert record.control is None
    assert {cell.gain for cell in record.cells} == {None}
    assert any("add none to the sources" in note for note in record.notes)


def test_a_control_that_was_still_learning_is_named(
    made: tuple[ComparisonRecord, Path], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.advisor.compare.levelled", lambda done: False)
    record = compare(photos, made[1])
    assert any(note.startswith(f"{record.control} was still improving") for note in record.notes)


def test_another_folder_s_data_is_refused(made: tuple[ComparisonRecord, Path], more_photos: Path, photos: Path) -> None:
    with pytest.raises(hs.UserError, match="expected a folder of a comparison on the same data"):
        compare(more_photos, made[1])


def test_groups_are_another_table(photos: Path, tmp_path: Path) -> None:
    rows = [f"{path},{path.parent.name},{i // 2}" for i, path in enumerate(sorted(photos.rglob("*.png")))]
    data = tmp_path / "photos.csv"
    data.write_text("\n".join(["image,label,pair", *rows]))
    asked: dict[str, Any] = {"target": "label", "sources": [RESNET], "strategies": ["linear"], "seeds": 1}
    for group in (None, "pair"):
        assert compare(data, tmp_path / "table", group=group, **asked).work_done["units_computed"] == 5


def test_a_test_part_is_left_alone_and_the_folder_is_known_again(
    photos: Path, more_photos: Path, tmp_path: Path
) -> None:
    for part, folder in (("train", photos), ("test", more_photos)):
        shutil.copytree(folder, tmp_path / "data" / part)
    asked: dict[str, Any] = {"sources": [RESNET], "strategies": ["linear"], "seeds": 1}
    record = compare(tmp_path / "data", tmp_path / "table", **asked)
    assert (record.data.n_train, record.data.n_test) == (60, 40)
    assert record.cells[0].score is not None
    assert record.cells[0].score.n == 60
    assert "40 examples of the test part were left alone" in record.notes
    assert compare(tmp_path / "data", tmp_path / "table", **asked).work_done["units_computed"] == 0
