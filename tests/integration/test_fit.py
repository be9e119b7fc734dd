"""The main job on made pictures, end to end: real files, real nets, real records; only the sources are tiny."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import headstart as hs
from headstart.advisor import self_test
from headstart.advisor import work as work_file
from headstart.advisor.ledger import Done, Ledger
from headstart.advisor.work import Climb, Work
from headstart.core.progress import Silent
from headstart.core.record import Record, schema
from headstart.evaluation.verify import verify
from headstart.modalities.image.modality import IMAGE

SCRATCH = IMAGE.untrained[1]

SOURCE = "random:test_resnet@64"
CLOSED = ("linear", "earlier")
MINUTES = 0.02  # too few for any gradient arm
PUBLISHED = Path(__file__).parents[2] / "docs" / "record.schema.json"
FILES = {
    "record.json", "work.json", "model.safetensors", "model.json", "card.json", "history.jsonl", "predictions.parquet",
    "report.html", "exhibits.json",
}  # fmt: skip
KEYS = {  # of DESIGN 7; "" is the record itself
    "": "schema setting tasks data sources strategy stages metric score control gain verdict decision reason "
    "candidates advice budget seconds peak_memory_mb seed versions",
    "tasks": "name kind classes",
    "data": "n_train n_test modality fingerprint warnings skipped",
    "sources": "name sha256 licence",
    "score": "value low high level n on",
    "control": "name value low high levelled",
    "gain": "value low high level n on",
    "decision": "delivered rule p_gain p_harm asked",
    "candidates": "name role source strategy stages estimate score seconds status why",
    "advice": "n_per_class similarity quadrant p_helps",
    "budget": "minutes folds m",
    "seconds": "read extract select train evaluate total",
}
Strip = Callable[[Record], dict[str, Any]]


@pytest.fixture(scope="module")
def closed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    """A run of closed forms only, the transfer arm delivered."""
    out = tmp_path_factory.mktemp("runs") / "closed"
    return hs.fit(photos, sources=[SOURCE], strategies=CLOSED, minutes=MINUTES, deliver="transfer", out=out)


@pytest.fixture(scope="module")
def trained(photos: Path, closed: hs.Result, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    """A run with gradient arms, whose work is set: two epochs, one fold, whatever this machine could afford."""
    folder = tmp_path_factory.mktemp("trained")
    asked = work_file.read(closed.run / work_file.NAME)
    climbs = [Climb(arm=arm, source=s, epochs=2, seconds=1.0) for arm, s in (("lp-ft", SOURCE), ("scratch", SCRATCH))]
    work = asked.model_copy(update={"climbs": tuple(climbs), "m": 1, "finalists": 2, "pruned": {}, "not_climbed": ()})
    work_file.write(folder, work)
    strategies = [*CLOSED, "lp-ft"]
    replay, out = folder / work_file.NAME, folder / "run"
    return hs.fit(photos, sources=[SOURCE], strategies=strategies, minutes=MINUTES, out=out, replay=replay)


def written(result: hs.Result) -> dict[str, Any]:
    return json.loads((result.run / "record.json").read_text())


def facts(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / name).read_text())


@pytest.mark.parametrize("kind", ["closed", "trained"])
def test_the_record_is_whole_and_follows_the_published_schema(kind: str, request: pytest.FixtureRequest) -> None:
    result: hs.Result = request.getfixturevalue(kind)
    record = written(result)
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(record)
    for where, keys in KEYS.items():
        part = record[where] if where else record
        for one in part if isinstance(part, list) else [part]:
            assert set(keys.split()) <= set(one), where or "the record"
    assert {p.name for p in result.run.iterdir()} >= FILES
    assert Record.from_json(result.record.to_json()) == result.record


def test_the_published_schema_is_the_record_s() -> None:
    assert json.loads(PUBLISHED.read_text()) == json.loads(json.dumps(schema()))


def test_arms_and_controls_are_scored_on_the_same_examples(closed: hs.Result) -> None:
    record = closed.record
    scored = {c.name: c for c in record.candidates if c.status == "done"}
    assert {"linear", "earlier", "majority", "raw", "random-features"} <= set(scored)
    assert {c.score.n for c in scored.values() if c.score} == {60}
    assert {c.name: c.status for c in record.candidates if c.status != "done"} == dict.fromkeys(
        ["scratch", "scratch-twin"], "unaffordable"
    )
    assert scored["majority"].score is not None
    assert scored["majority"].score.value == pytest.approx(0.5, abs=0.1)
    best = max(c.score.value for c in scored.values() if c.score and c.role == "transfer")
    assert best > 0.6
    assert record.decision.asked == "transfer"
    assert record.strategy in CLOSED
    assert record.gain is not None
    assert record.gain.low <= record.gain.value <= record.gain.high


def test_a_saved_run_predicts_what_the_result_predicts(closed: hs.Result, more_photos: Path, tmp_path: Path) -> None:
    files = sorted(more_photos.rglob("*.png"))
    said = closed.predict(files)
    right = [one.label == Path(one.file).parent.name for one in said]
    assert np.mean(right) > 0.7
    for one in said:
        assert one.probability == max(one.probabilities.values())
        assert one.probabilities[one.label] == one.probability
        assert sum(one.probabilities.values()) == pytest.approx(1)
    copy = closed.save(tmp_path / "copy")
    again = hs.load(copy)
    assert again.record == closed.record
    assert again.predict(files) == said


def test_experts_are_saved_with_all_their_sources(photos: Path, more_photos: Path, tmp_path: Path) -> None:
    sources = [SOURCE, "random:test_vit@64", "random:test_convnext@64"]
    result = hs.fit(photos, sources=sources, strategies=["experts"], minutes=MINUTES, deliver="transfer",
                    out=tmp_path / "run")  # fmt: skip
    taps = facts(result.run, "model.json")["taps"]
    assert result.record.strategy == "experts"
    assert set(next(c for c in result.record.candidates if c.name == "experts").stages) == {stage for _, stage in taps}
    files = sorted(more_photos.rglob("*.png"))
    assert hs.load(result.save(tmp_path / "copy")).predict(files) == result.predict(files)
    assert verify(result.run).ok


def test_experts_of_one_source_do_not_apply(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    record = hs.fit(photos, sources=[SOURCE], strategies=["linear", "experts"], minutes=MINUTES, out=out).record
    assert {c.name: c.why for c in record.candidates}["experts"] == "one source only"


def test_a_trained_model_is_saved_and_predicts_alike(trained: hs.Result, more_photos: Path, tmp_path: Path) -> None:
    statuses = {c.name: c.status for c in trained.record.candidates}
    assert (statuses["lp-ft"], statuses["scratch"]) == ("done", "done")
    assert trained.record.budget.m == 1
    rows = [json.loads(line) for line in (trained.run / "history.jsonl").read_text().splitlines()]
    inner = [row for row in rows if row["arm"] == "lp-ft" and row["unit"] == "inner"]
    assert [row["epoch"] for row in inner] == [1, 2]
    assert all(row["validation_loss"] > 0 for row in inner)
    plan = next(c.plan for c in trained.record.candidates if c.name == "lp-ft")
    assert plan is not None
    assert plan.phases[-1].epochs in (1, 2)
    files = sorted(more_photos.rglob("*.png"))[:6]
    assert hs.load(trained.save(tmp_path / "copy")).predict(files) == trained.predict(files)


@pytest.mark.parametrize("kind", ["closed", "trained"])
def test_verify_recomputes_every_figure(kind: str, request: pytest.FixtureRequest) -> None:
    result: hs.Result = request.getfixturevalue(kind)
    found = verify(result.run)
    assert found.ok, [row for row in found.rows if not row.equal]
    assert {"score.value", "score.low", "score.high", "gain.low", "verdict"} <= {row.what for row in found.rows}


def test_verify_notices_one_changed_probability(closed: hs.Result, tmp_path: Path) -> None:
    run = Path(shutil.copytree(closed.run, tmp_path / "run"))
    path = run / "predictions.parquet"
    table = pq.read_table(path)
    values = table["probabilities"].to_pylist()
    at = table["arm"].to_pylist().index(closed.record.strategy)
    values[at] = values[at][::-1]
    column = pa.array(values, type=pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.column_names.index("probabilities"), "probabilities", column), path)
    found = verify(run)
    assert not found.ok
    assert any(row.what.startswith("score") for row in found.rows if not row.equal)


def test_a_run_says_what_transfer_is_worth_in_labels(closed: hs.Result) -> None:
    found, record = closed.record.measures, closed.record
    assert found is not None
    assert found.curve is not None
    assert [point.labels for point in found.curve.points] == [6, 12, 24, 48]
    assert (found.curve.transfer, found.curve.control) == (record.verdict.transfer, record.verdict.control)
    assert found.curve.points[-1].transfer.value > found.curve.points[0].transfer.value
    assert found.priced == record.decision.delivered
    assert {(price.label, price.had) for price in found.prices} == {(None, 48), ("warp", 24), ("weft", 24)}
    assert found.threshold is None
    assert 0 < found.seconds < record.seconds.evaluate
    html = (closed.run / "report.html").read_text()
    assert "What transfer is worth in labels" in html
    assert "labels to learn from" in html


def test_training_on_both_sides_is_timed(trained: hs.Result) -> None:
    assert trained.record.measures is not None
    found = trained.record.measures.threshold
    assert found is not None
    assert (found.transfer, found.control) == ("lp-ft", "scratch")
    rows = [json.loads(line) for line in (trained.run / "history.jsonl").read_text().splitlines()]
    inner = {
        arm: [row["validation_accuracy"] for row in rows if (row["arm"], row["unit"]) == (arm, "inner")]
        for arm in ("lp-ft", "scratch")
    }
    assert found.accuracy == max(inner["scratch"])
    assert inner["scratch"][found.control_epochs - 1] == found.accuracy
    reached = [at for at, accuracy in enumerate(inner["lp-ft"], 1) if accuracy >= found.accuracy]
    assert found.epochs == (reached[0] if reached else None)


def test_verify_recomputes_the_measures(closed: hs.Result, tmp_path: Path) -> None:
    run = Path(shutil.copytree(closed.run, tmp_path / "run"))
    assert {"measures.curve.saved.ratio.value", "measures.prices.1.worth.low"} <= {r.what for r in verify(run).rows}
    path = run / "predictions.parquet"
    table = pq.read_table(path)
    on, share = table["on"].to_pylist(), table["share"].to_pylist()
    values = table["probabilities"].to_pylist()
    for at in range(len(values)):
        if on[at].endswith("less") and share[at] == 0.125:
            values[at] = values[at][::-1]
    column = pa.array(values, type=pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.column_names.index("probabilities"), "probabilities", column), path)
    differ = {row.what for row in verify(run).rows if not row.equal}
    assert "measures.curve.jumpstart.value" in differ
    assert all(what.startswith("measures.curve") for what in differ)


def test_measuring_goes_on_where_it_was_killed(
    photos: Path, closed: hs.Result, tmp_path: Path, timeless: Strip, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Ledger.put

    def killed(self: Ledger, name: str, done: Done) -> None:
        if name.endswith(".halves"):
            raise KeyboardInterrupt
        put(self, name, done)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            replayed(photos, closed, CLOSED, tmp_path / "run", deliver="transfer")
    whole = replayed(photos, closed, CLOSED, tmp_path / "whole", deliver="transfer").record.work_done
    again = replayed(photos, closed, CLOSED, tmp_path / "run", deliver="transfer").record
    assert again.work_done["units_computed"] == 5
    assert again.work_done["units_resumed"] == whole["units_computed"] - 5
    assert timeless(again) == timeless(closed.record)


def replayed(photos: Path, first: hs.Result, strategies: tuple[str, ...], out: Path, **more: Any) -> hs.Result:
    replay = first.run / work_file.NAME
    return hs.fit(photos, sources=[SOURCE], strategies=strategies, minutes=MINUTES, out=out, replay=replay, **more)


def test_a_replay_of_closed_forms_decodes_nothing(
    photos: Path, closed: hs.Result, tmp_path: Path, timeless: Strip
) -> None:
    again = replayed(photos, closed, CLOSED, tmp_path / "again", deliver="transfer")
    assert again.record.work_done["decoded"] == 0
    assert again.record.work_done["features_computed"] == 0
    assert again.record.work_done["units_resumed"] == 0
    assert timeless(again.record) == timeless(closed.record)


def test_a_replay_of_gradient_arms_gives_the_same_record(
    photos: Path, trained: hs.Result, tmp_path: Path, timeless: Strip
) -> None:
    again = replayed(photos, trained, (*CLOSED, "lp-ft"), tmp_path / "again")
    assert again.record.work_done["decoded"] == 0
    assert timeless(again.record) == timeless(trained.record)
    same = (again.run / "model.safetensors").read_bytes() == (trained.run / "model.safetensors").read_bytes()
    assert same


class Told(Silent):
    """Progress that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "SAME", 3)
    monkeypatch.setattr(self_test, "LOT", 2)


@pytest.mark.usefixtures("few_draws")
def test_a_self_test_is_added_to_the_record_and_changes_nothing_else(
    photos: Path, closed: hs.Result, tmp_path: Path, timeless: Strip
) -> None:
    told = Told()
    run = replayed(photos, closed, CLOSED, tmp_path / "run", deliver="transfer", self_test=True, progress=told)
    tested = run.record.self_test
    assert tested is not None
    assert (tested.same.draws, tested.lot.draws) == (3, 2)
    assert tested.lot.claims == 0
    assert any("self-test: 3 draws of linear against itself, 2 of labels by lot, about" in line for line in told.lines)
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(written(run))
    assert hs.load(run.run).record == run.record
    plain = timeless(run.record) | {"self_test": None}
    plain["asked"] |= {"self_test": False}
    assert plain == timeless(closed.record)
    assert verify(run.run).ok


@pytest.mark.usefixtures("few_draws")
def test_too_many_false_claims_are_noted(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "by_lot", lambda *_: "helped")
    asked: dict[str, Any] = {"sources": [SOURCE], "strategies": ["lp-ft", "linear"], "minutes": MINUTES}
    record = hs.fit(photos, **asked, out=tmp_path / "run", self_test=True).record
    assert record.self_test is not None
    assert record.self_test.excessive
    assert self_test.OFTEN in record.notes


@pytest.mark.usefixtures("few_draws")
def test_a_finished_run_answers_a_self_test_only_if_it_had_one(photos: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"sources": [SOURCE], "strategies": ["linear"], "minutes": MINUTES, "out": tmp_path / "run"}
    hs.fit(photos, **asked)
    with pytest.raises(hs.UserError, match="a new or empty folder for the run"):
        hs.fit(photos, **asked, self_test=True)
    shutil.rmtree(tmp_path / "run")
    first = hs.fit(photos, **asked, self_test=True)
    assert hs.fit(photos, **asked, self_test=True).record == first.record
    assert hs.fit(photos, **asked).record == first.record


def test_another_seed_is_another_run(photos: Path, closed: hs.Result, tmp_path: Path, timeless: Strip) -> None:
    other = hs.fit(
        photos, sources=[SOURCE], strategies=CLOSED, minutes=MINUTES, deliver="transfer", out=tmp_path / "x", seed=1
    )
    assert timeless(other.record)["candidates"] != timeless(closed.record)["candidates"]


def test_what_is_asked_now_decides_what_a_replay_delivers(photos: Path, closed: hs.Result, tmp_path: Path) -> None:
    for role in ("transfer", "control"):
        again = replayed(photos, closed, CLOSED, tmp_path / role, deliver=role)
        assert again.record.decision.role == role
        assert again.record.decision.asked == role


def test_work_of_other_data_is_not_replayed(more_photos: Path, closed: hs.Result, tmp_path: Path) -> None:
    with pytest.raises(hs.UserError, match=r"work\.json of the same data"):
        replayed(more_photos, closed, CLOSED, tmp_path / "other")
    assert not list(tmp_path.iterdir())


def test_advise_measures_and_trains_nothing_for_keeps(photos: Path, tmp_path: Path) -> None:
    found = hs.advise(photos, sources=[SOURCE], strategies=[*CLOSED, "lp-ft"], minutes=0.5)
    rows = {row.strategy: row for row in found.rows}
    assert {"linear", "earlier", "lp-ft", "majority", "raw", "random-features"} <= set(rows)
    assert all(row.low <= row.estimate <= row.high for row in found.rows)
    assert all(row.minutes >= 0 for row in found.rows)
    assert rows["lp-ft"].minutes > 0
    assert all(row.reason for row in found.rows)
    assert json.loads(found.to_json())["advice"]["quadrant"] == found.advice.quadrant
    assert "prior" in found.text()


def test_advice_is_not_flattered_by_groups(photos: Path, tmp_path: Path) -> None:
    """Noise in pairs of the same noise: leave-one-out alone would find the twin of each."""
    rng, rows = np.random.default_rng(0), ["image,label,pair"]
    for pair in range(30):
        noise = rng.integers(0, 256, (32, 32, 3))
        for twin in range(2):
            name = f"{pair}-{twin}.png"
            Image.fromarray((noise + rng.integers(-9, 10, noise.shape)).clip(0, 255).astype(np.uint8)).save(
                tmp_path / name
            )
            rows.append(f"{name},{'ab'[pair % 2]},{pair}")
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(rows))
    found = hs.advise(table, target="label", group="pair", sources=[SOURCE], strategies=CLOSED, minutes=0.1)
    assert max(row.estimate for row in found.rows) < 0.75


def test_ranking_looks_at_the_evidence_too(photos: Path) -> None:
    found = hs.advise(photos, sources=[SOURCE], strategies=CLOSED, minutes=0.1)
    assert all(one.logme is not None for one in found.ranking)
    assert found.static[0].source == SOURCE
    assert found.advice.p_helps is not None


@pytest.mark.slow
def test_minutes_become_gradient_work(photos: Path, tmp_path: Path) -> None:
    strategies = [*CLOSED, "lp-ft"]
    result = hs.fit(photos, sources=[SOURCE], strategies=strategies, minutes=0.5, out=tmp_path / "run")
    work: Work = work_file.read(result.run / work_file.NAME)
    assert work.climbs
    assert {"lp-ft", "scratch", "scratch-twin"} >= {climb.arm for climb in work.climbs}
    assert all(climb.seconds <= 30 for climb in work.climbs), "each must fit alone, whatever the others leave"
    assert work.m
    assert work.finalists
    statuses = {climb.arm: c.status for climb in work.climbs for c in result.record.candidates if c.name == climb.arm}
    assert set(statuses.values()) <= {"done", "pruned"}, "what was granted was tried"
    assert "done" in statuses.values()
    assert verify(result.run).ok
