"""The main job on tables, end to end: a source that helps, one that misleads, other columns, other units."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

import headstart as hs
from headstart.advisor import work as work_file
from headstart.advisor.ledger import Done, Ledger
from headstart.cli.main import main
from headstart.core.errors import UserError
from headstart.core.record import Record
from headstart.evaluation.verify import verify

MINUTES = 0.02  # too few for any gradient arm
SCHEMA = Path(__file__).parents[2] / "docs" / "record.schema.json"
QUICK = ("zero-shot", "shrunk", "linear", "all-stages")
Strip = Callable[[Record], dict[str, Any]]


class KilledError(Exception):
    """The process is gone."""


def saved(path: Path, header: list[str], rows: np.ndarray, labels: np.ndarray) -> Path:
    lines = [",".join([*(f"{one:.6g}" for one in row), label]) for row, label in zip(rows, labels, strict=True)]
    path.write_text("\n".join([",".join([*header, "diagnosis"]), *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """30 of the breast-cancer rows to learn from, 500 others as source, ten columns of each."""
    folder = tmp_path_factory.mktemp("tables")
    found: Any = load_breast_cancer()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(found.data))
    rows = found.data[order][:, :10]
    labels = np.array(["malignant", "benign"])[found.target[order]]
    header = [name.replace(" ", "_") for name in found.feature_names[:10]]
    return (
        saved(folder / "target.csv", header, rows[:30], labels[:30]),
        saved(folder / "source.csv", header, rows[30:530], labels[30:530]),
    )


def changed(path: Path, to: Path, change: Callable[[list[str], list[list[str]]], None]) -> Path:
    """A copy of a table, after something was done to its header and rows."""
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    change(header, rows)
    to.write_text("\n".join(",".join(one) for one in [header, *rows]) + "\n")
    return to


def fitted(target: Path, source: Path, out: Path, **more: Any) -> hs.Result:
    asked: dict[str, Any] = {"strategies": ("shrunk",), "minutes": MINUTES, "seed": 0, **more}
    return hs.fit(target, target="diagnosis", sources=[f"table:{source}@diagnosis"], out=out, **asked)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Digits by the sums of their pixels, a column each: 60 to learn from, 500 others as source."""
    folder = tmp_path_factory.mktemp("digits")
    found: Any = load_digits()
    order = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(found.target, (1, 3, 5, 8, 9))))
    rows, labels = found.data[order], np.array([f"digit {one}" for one in found.target[order]])
    header = [f"sum_{at}" for at in range(64)]
    return (
        saved(folder / "target.csv", header, rows[:60], labels[:60]),
        saved(folder / "source.csv", header, rows[60:560], labels[60:560]),
    )


@pytest.fixture(scope="module")
def run(digits: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    return fitted(*digits, tmp_path_factory.mktemp("runs") / "helped", strategies=QUICK)


def test_a_source_of_the_same_kind_helps(run: hs.Result) -> None:
    record = run.record
    scores = {one.name: one.score.value for one in record.candidates if one.score}
    assert record.data.modality == "table"
    assert record.verdict.claim == "helped"
    assert {"boosting", "raw", "majority", "random-features", *QUICK} <= scores.keys()
    assert scores["linear"] > scores["boosting"] + 0.1
    assert not [one for one in record.data.warnings if "unit" in one or "columns" in one]


def test_the_record_keeps_its_schema_and_the_page_shows_rows(run: hs.Result) -> None:
    jsonschema.validate(json.loads(run.record.to_json()), json.loads(SCHEMA.read_text()))
    page = (run.run / "report.html").read_text(encoding="utf-8")
    assert "boosting" in page
    assert verify(run.run)


@pytest.mark.parametrize(
    ("strategies", "deliver"), [(("pooled",), "transfer"), (("shrunk",), "transfer"), (("shrunk",), "control")]
)
def test_what_is_delivered_predicts_alike_wherever_it_lies(
    deliver: str, strategies: tuple[str, ...], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    target, source = pair
    result = fitted(target, source, tmp_path / "run", strategies=strategies, deliver=deliver)
    kept = hs.load(result.save(tmp_path / "elsewhere"))
    found = kept.predict([target])
    assert len(found) == 30
    truth = [line.rsplit(",", 1)[1] for line in target.read_text().splitlines()[1:]]
    assert np.mean([one.label == label for one, label in zip(found, truth, strict=True)]) > 0.8
    header, row = (line.split(",") for line in target.read_text().splitlines()[:2])
    alone = kept.predict([json.dumps(dict(zip(header[:-1], map(float, row[:-1]), strict=True)))])
    assert alone[0].probabilities == pytest.approx(found[0].probabilities, abs=1e-5)
    shuffled = changed(target, tmp_path / "turned.csv", lambda h, rows: [one.reverse() for one in (h, *rows)] and None)
    again = kept.predict([shuffled])
    assert [one.probabilities for one in again] == [one.probabilities for one in found]


def test_a_source_that_misleads_is_caught(pair: tuple[Path, Path], tmp_path: Path) -> None:
    target, source = pair

    def invert(_header: list[str], rows: list[list[str]]) -> None:
        for row in rows:
            row[-1] = {"benign": "malignant", "malignant": "benign"}[row[-1]]

    wrong = changed(source, tmp_path / "wrong.csv", invert)
    result = fitted(target, wrong, tmp_path / "run", strategies=("zero-shot",))
    assert result.verdict.claim == "hurt"
    assert result.record.decision.role == "control"
    beside = fitted(target, wrong, tmp_path / "both", strategies=("pooled", "shrunk"), deliver="transfer")
    scores = {one.name: one.score.value for one in beside.record.candidates if one.score}
    assert scores["pooled"] == pytest.approx(scores["boosting"], abs=0.1)
    assert scores["shrunk"] > 0.7


def test_other_units_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    target, source = pair

    def inches(header: list[str], rows: list[list[str]]) -> None:
        at = header.index("mean_radius")
        for row in rows:
            row[at] = f"{float(row[at]) / 2.54:.6g}"

    result = fitted(changed(target, tmp_path / "inches.csv", inches), source, tmp_path / "run")
    (line,) = [one for one in result.record.data.warnings if "unit" in one]
    assert line.startswith("column 'mean_radius' looks like the source's in another unit: about 0.")


def test_other_columns_are_refused_or_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    target, source = pair

    def rename(some: int) -> Callable[[list[str], list[list[str]]], None]:
        def change(header: list[str], _rows: list[list[str]]) -> None:
            header[:some] = [f"other_{at}" for at in range(some)]

        return change

    with pytest.raises(UserError, match=r"^expected rows with the columns of the source table, got 0 of "):
        fitted(changed(target, tmp_path / "all.csv", rename(10)), source, tmp_path / "none")
    result = fitted(changed(target, tmp_path / "two.csv", rename(2)), source, tmp_path / "two")
    said = [one for one in result.record.data.warnings if one.startswith("columns that")]
    assert said == [
        "columns that only the source table has, read as missing: mean_radius, mean_texture",
        "columns that the source table has not, which transfer does not read: other_0, other_1",
    ]


def test_a_text_where_the_source_has_numbers_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    target, source = pair

    def spell(header: list[str], rows: list[list[str]]) -> None:
        at = header.index("mean_area")
        for row in rows:
            row[at] = "large" if float(row[at]) > 600 else "small"

    path = changed(target, tmp_path / "spelled.csv", spell)
    with pytest.raises(UserError, match=r"^expected a number in column 'mean_area', as in the source table, got '"):
        fitted(path, source, tmp_path / "run")


def test_killed_and_resumed_is_the_same_run(
    run: hs.Result, digits: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, done = Ledger.put, 0

    def dying(self: Ledger, name: str, one: Done) -> None:
        nonlocal done
        done += 1
        if done == 8:
            raise KilledError
        whole(self, name, one)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "put", dying)
        with pytest.raises(KilledError):
            fitted(*digits, tmp_path / "run", strategies=QUICK, replay=run.run / work_file.NAME)
    again = fitted(*digits, tmp_path / "run", strategies=QUICK, replay=run.run / work_file.NAME)
    assert again.record.work_done["units_resumed"] >= 7
    assert work_file.read(again.run / work_file.NAME).asked == work_file.read(run.run / work_file.NAME).asked
    mine, theirs = ({one.name: one.score for one in r.record.candidates} for r in (again, run))
    assert mine == theirs


@pytest.mark.slow
def test_nets_that_train_are_delivered_too(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = fitted(*pair, tmp_path / "run", strategies=("finetune",), minutes=0.5, deliver="transfer")
    found = hs.load(result.run).predict([pair[0]])
    truth = [line.rsplit(",", 1)[1] for line in pair[0].read_text().splitlines()[1:]]
    assert np.mean([one.label == label for one, label in zip(found, truth, strict=True)]) > 0.8


@pytest.mark.parametrize("kind", ["regression", "multi-label"])
def test_numbers_and_several_labels(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def table(path: Path, n: int) -> Path:
        rows = rng.normal(size=(n, 4))
        worth = rows[:, 0] * rows[:, 1] + rows[:, 2] + 0.1 * rng.normal(size=n)
        labels = [[name for name, at in (("a", 0), ("b", 1)) if row[at] > 0] for row in rows]
        with path.open("w") as file:
            for row, number, names in zip(rows, worth, labels, strict=True):
                told = number if kind == "regression" else names
                file.write(json.dumps({**{f"x{at}": one for at, one in enumerate(row)}, "y": told}) + "\n")
        return path

    target, source = table(tmp_path / "target.jsonl", 40), table(tmp_path / "source.jsonl", 500)
    result = hs.fit(
        target, target="y", sources=[f"table:{source}@y"], minutes=MINUTES, out=tmp_path / "run",
        strategies=("pooled", "shrunk", "all-stages"), deliver="transfer", metric=None,
    )  # fmt: skip
    scores = {one.name: one.score.value for one in result.record.candidates if one.score}
    assert scores["pooled"] >= scores["boosting"]
    assert len(hs.load(result.run).predict([target])) == 40


def test_the_command_names_the_source_table(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, source = map(str, pair)
    out = str(tmp_path / "run")
    asked = ["fit", target, "--target", "diagnosis", "--from", source, "--strategy", "shrunk", "--minutes", "0.02"]
    assert main([*asked, "--out", out, "--json", "--quiet"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["sources"][0]["name"] == f"table:{source}@diagnosis#classification"
    assert main(["predict", out, target, "--json", "--quiet"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 30
    assert main(["fit", target, "--target", "diagnosis", "--quiet"]) == 2
    assert "--from SOURCE.csv" in capsys.readouterr().err
    assert main(["fit", target, "--from", source, "--quiet"]) == 2
    assert "--target COLUMN with --from" in capsys.readouterr().err


def test_a_source_that_has_the_same_rows_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """What it knows of them is no transfer; with labels by lot it would have helped."""
    target, source = pair
    both = tmp_path / "both.csv"
    both.write_text(source.read_text() + "\n".join(target.read_text().splitlines()[1:]) + "\n")
    with pytest.raises(UserError, match=r"got 30 of 30 that it has learned from, such as target\.csv:1"):
        fitted(target, both, tmp_path / "run", strategies=["linear"])


def test_a_source_is_read_for_the_task_of_the_target(tmp_path: Path) -> None:
    """100 numbers among 300 rows look like classes there, and like numbers here."""
    draw = np.random.default_rng(0)
    for name, count in (("few", 40), ("many", 300)):
        x = draw.normal(size=(count, 3))
        y = np.round(50 + 15 * x[:, 0] + 3 * draw.normal(size=count))
        rows = [",".join(map(str, [*row, int(value)])) for row, value in zip(np.round(x, 4), y, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c,y", *rows]) + "\n")
    found = hs.fit(
        tmp_path / "few.csv", target="y", kind="regression", sources=[f"table:{tmp_path / 'many.csv'}@y"],
        strategies=["linear"], minutes=MINUTES, out=tmp_path / "run", deliver="transfer",
    )  # fmt: skip
    assert found.record.sources[0].trained_on_n == 300
    assert found.record.score.value > 0.6
    (one,) = found.predict(['{"a": 2.0, "b": 0.0, "c": 0.0}'])
    assert one.value is not None
    assert 60 < one.value < 100
