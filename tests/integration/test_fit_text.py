"""The main job on made texts, end to end: a real table, a real net, a real record; only the source is tiny."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import headstart as hs
from headstart.advisor import work as work_file
from headstart.advisor.ledger import Done, Ledger
from headstart.advisor.work import Climb
from headstart.cli.main import main
from headstart.core.exhibits import Exhibits
from headstart.core.record import Record
from headstart.evaluation.verify import verify

SOURCE = "random:text-cnn"
PICTURES = "random:test_resnet@64"
CLOSED = ("linear", "earlier")
MINUTES = 0.02  # too few for any gradient arm
SCHEMA = Path(__file__).parents[2] / "docs" / "record.schema.json"
SCRIPT = "<script>alert('a text')</script> & more"
LEANING = {"good": ["fine", "warm", "clever", "lovely", "bright"], "bad": ["dull", "cold", "clumsy", "awful", "grey"]}
NEUTRAL = (
    "the",
    "film",
    "was",
    "and",
    "with",
    "a",
    "story",
    "of",
    "people",
    "in",
    "town",
    "who",
    "talk",
    "at",
    "night",
)
Strip = Callable[[Record], dict[str, Any]]


def spoken(n: int, seed: int) -> list[tuple[str, str]]:
    """n (text, mood): a leaning word or two among neutral ones, of all lengths."""
    rng, found = np.random.default_rng(seed), []
    for i in range(n):
        mood = ("good", "bad")[i % 2]
        words = [*rng.choice(NEUTRAL, rng.integers(4, 30)), *rng.choice(LEANING[mood], rng.integers(1, 3))]
        rng.shuffle(words)
        found.append((f"{' '.join(words).capitalize()}.", mood))
    return found


def table(path: Path, rows: Sequence[tuple[str, str]], names: tuple[str, str] = ("review", "mood")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    return path


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts to learn from; one of them is sure to be taken for the other class, and would like to run in a browser."""
    told = [(f"{SCRIPT} {' '.join(LEANING['good'])}", "bad")]
    return table(tmp_path_factory.mktemp("texts") / "my reviews.csv", [*spoken(60, 0), *told])


@pytest.fixture(scope="module")
def closed(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    return fitted(reviews, tmp_path_factory.mktemp("runs") / "closed", deliver="transfer")


def fitted(reviews: Path, out: Path, **more: Any) -> hs.Result:
    asked: dict[str, Any] = {"sources": [SOURCE], "strategies": CLOSED, "minutes": MINUTES, **more}
    return hs.fit(reviews, target="mood", out=out, **asked)


def statuses(result: hs.Result) -> dict[str, str]:
    return {c.name: c.status for c in result.record.candidates}


def test_the_record_is_whole(closed: hs.Result, reviews: Path) -> None:
    record = closed.record
    written = json.loads((closed.run / "record.json").read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(written)
    assert (record.data.modality, record.data.n_train, record.data.n_test) == ("text", 61, 0)
    assert record.data.path == str(reviews)
    assert (record.tasks[0].name, record.tasks[0].classes) == ("mood", ("bad", "good"))
    assert record.sources[0].name == SOURCE
    assert f"{SOURCE} was not trained on anything known" in record.data.warnings
    assert record.verdict.sentence
    assert record.decision.delivered in CLOSED
    assert record.gain is not None
    assert record.gain.low <= record.gain.value <= record.gain.high
    assert record.stages == next(c.stages for c in record.candidates if c.name == record.strategy)
    assert set(record.stages) <= {"words", "phrases"}


def test_every_control_of_texts_is_scored_on_all_examples(closed: hs.Result) -> None:
    scored = {c.name: c.score for c in closed.record.candidates if c.status == "done"}
    assert {"majority", "raw", "tf-idf", "random-features"} <= set(scored)
    roles = {c.name: c.role for c in closed.record.candidates}
    assert roles["tf-idf"] == "control"
    assert {score.n for score in scored.values() if score} == {61}
    assert scored["tf-idf"] is not None
    assert scored["majority"] is not None
    assert scored["tf-idf"].value > 0.7 > scored["majority"].value
    assert statuses(closed)["scratch"] == "unaffordable"


def test_words_of_a_mistake_stand_in_the_report_and_do_not_run(closed: hs.Result) -> None:
    html = (closed.run / "report.html").read_text(encoding="utf-8")
    assert "Most confident mistakes" in html
    assert "&lt;script&gt;alert(&#39;a text&#39;)&lt;/script&gt; &amp; more fine" in html
    assert "<script" not in html
    assert "my reviews.csv:61" in html


def test_the_words_can_be_kept_out_of_the_report(reviews: Path, closed: hs.Result, tmp_path: Path) -> None:
    again = replayed(reviews, closed, tmp_path / "run", thumbnails=False)
    html = (again.run / "report.html").read_text(encoding="utf-8")
    assert "Most confident mistakes" in html
    assert "alert(" not in html


def test_strings_files_and_tables_are_predicted_alike(closed: hs.Result, tmp_path: Path) -> None:
    rows = spoken(40, 1)
    texts = [text for text, _ in rows]
    said = closed.predict(texts)
    assert [one.file for one in said] == [f"text {at}" for at in range(1, 41)]
    assert np.mean([one.label == mood for one, (_, mood) in zip(said, rows, strict=True)]) > 0.6
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in said)
    listed = closed.predict([table(tmp_path / "new.csv", rows)])
    assert [one.probabilities for one in listed] == [one.probabilities for one in said]
    (tmp_path / "one.txt").write_text(texts[7])
    (alone,) = closed.predict([tmp_path / "one.txt"])
    assert alone.label == said[7].label
    assert alone.probability == pytest.approx(said[7].probability, abs=1e-5)


def test_a_table_is_predicted_by_the_column_that_was_learned_from(
    closed: hs.Result, reviews: Path, tmp_path: Path
) -> None:
    """Another column of it may hold longer strings."""
    rows = [(text, "an identifier that is much longer than any review can be " * 8) for text, _ in spoken(6, 1)]
    found = closed.predict([table(tmp_path / "new.csv", rows, names=("review", "id"))])
    assert [one.probability for one in found] == [p.probability for p in closed.predict([text for text, _ in rows])]


def test_a_copy_of_the_run_predicts_the_same(closed: hs.Result, tmp_path: Path) -> None:
    texts = [text for text, _ in spoken(10, 2)]
    again = hs.load(closed.save(tmp_path / "copy"))
    assert again.record == closed.record
    assert again.predict(texts) == closed.predict(texts)


# --- labels and numbers


def shades(path: Path, kind: str) -> Path:
    """Texts whose labels are what is praised and what is blamed in them; or by how much praise is ahead."""
    rng, rows = np.random.default_rng(0), []
    for i in range(60):
        praise, blame = rng.integers(0, 3, 2)
        words = [*rng.choice(NEUTRAL, 8), *rng.choice(LEANING["good"], praise), *rng.choice(LEANING["bad"], blame)]
        labels = ";".join(name for name, count in (("praise", praise), ("blame", blame)) if count)
        rows.append((f"{' '.join(words)} {i}", labels if kind == "multi-label" else str(100 + 10.5 * (praise - blame))))
    return table(path, rows)


@pytest.mark.parametrize(
    ("kind", "metric", "best"), [("multi-label", "mean_average_precision", 0.9), ("regression", "r2", 0.5)]
)
def test_labels_and_numbers_go_the_whole_way(kind: Any, metric: str, best: float, tmp_path: Path) -> None:
    found = fitted(shades(tmp_path / "t.csv", kind), tmp_path / "run", kind=kind, deliver="control")
    record = found.record
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(json.loads(record.to_json()))
    assert (record.tasks[0].kind, record.metric) == (kind, metric)
    assert record.score.value > best
    assert {c.name: c.status for c in record.candidates}["linear"] == "done"
    assert verify(found.run).ok
    one, other = hs.load(found.save(tmp_path / "copy")).predict(
        [f"the film was {' and '.join(words[:3])}" for words in LEANING.values()]
    )
    if kind == "multi-label":
        assert "praise" in one.labels
        assert (other.labels, other.label) == (("blame",), "blame")
        assert one.probabilities["praise"] > other.probabilities["praise"] + 0.3
        explained = Exhibits.from_json((found.run / "exhibits.json").read_text()).explained
        assert explained
        assert all(one.truth in (one.said, f"not {one.said}") for one in explained)  # one label, not all of them
    else:
        assert one.value is not None
        assert other.value is not None
        assert one.value > 110 > 90 > other.value
        assert one.off == record.calibration.off
    html = (found.run / "report.html").read_text(encoding="utf-8")
    assert ("Predicted numbers against true ones" in html) == (kind == "regression")
    assert (">Labels</h2>" in html) == (kind == "multi-label")
    assert ("Confusion matrix" in html) is False


def test_what_needs_one_class_an_example_is_skipped(tmp_path: Path) -> None:
    asked = {"strategies": (*CLOSED, "prototype", "contrastive", "co-tuning"), "kind": "regression"}
    found = fitted(shades(tmp_path / "t.csv", "regression"), tmp_path / "run", **asked)
    said = {c.name: c.why for c in found.record.candidates if c.status == "skipped"}
    assert set(said) == {"prototype", "contrastive", "co-tuning"}
    assert set(said.values()) == {"it needs examples of one class each, and this is regression"}


def test_tf_idf_is_delivered_where_pairs_of_words_decide(tmp_path: Path) -> None:
    """What single words cannot say: counts of them, and averages over them, know nothing here."""
    pairs = [("not good", "bad"), ("very good", "good"), ("not bad", "good"), ("very bad", "bad")]
    rng = np.random.default_rng(0)
    rows = [(f"{' '.join(rng.choice(NEUTRAL, 3))} {pair} {i}", mood) for i, (pair, mood) in enumerate(pairs * 15)]
    found = fitted(table(tmp_path / "t.csv", rows), tmp_path / "run", deliver="control")
    assert (found.record.decision.role, found.record.decision.delivered) == ("control", "tf-idf")
    assert found.record.score.value > 0.9
    said = hs.load(found.save(tmp_path / "copy")).predict(["this is very good", "this is not good", "unheard"])
    assert [one.label for one in said[:2]] == ["good", "bad"]
    assert verify(found.run).ok


def test_verify_recomputes_every_figure(closed: hs.Result, capsys: pytest.CaptureFixture[str]) -> None:
    found = verify(closed.run)
    assert found.ok, [row for row in found.rows if not row.equal]
    assert main(["verify", str(closed.run)]) == 0
    assert "score.value" in capsys.readouterr().out


def replayed(reviews: Path, first: hs.Result, out: Path, **more: Any) -> hs.Result:
    return fitted(reviews, out, replay=first.run / work_file.NAME, **{"deliver": "transfer", **more})


def test_a_run_goes_on_where_it_was_killed(
    reviews: Path, closed: hs.Result, tmp_path: Path, timeless: Strip, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Ledger.put

    def killed(self: Ledger, name: str, done: Done) -> None:
        if self.computed >= 3:
            raise KeyboardInterrupt
        put(self, name, done)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            replayed(reviews, closed, tmp_path / "run")
    again = replayed(reviews, closed, tmp_path / "run").record
    assert again.work_done["units_resumed"] == 3
    assert again.work_done["features_computed"] == 0
    assert timeless(again) == timeless(closed.record)


def test_a_column_that_is_named_is_read(reviews: Path, closed: hs.Result, tmp_path: Path) -> None:
    assert hs.read(reviews, target="mood", text="review").fingerprint == closed.record.data.fingerprint
    with pytest.raises(hs.UserError, match="for --text, got 'revue'\nDid you mean review"):
        fitted(reviews, tmp_path / "other", text="revue")


def test_a_source_of_pictures_is_refused_for_texts_and_the_reverse(reviews: Path, photos: Path, tmp_path: Path) -> None:
    says = f"^expected a source for text data, got {PICTURES}, which takes image data\nSee headstart sources list.$"
    with pytest.raises(hs.UserError, match=says):
        fitted(reviews, tmp_path / "run", sources=[PICTURES])
    says = f"^expected a source for image data, got {SOURCE}, which takes text data\nSee headstart sources list.$"
    with pytest.raises(hs.UserError, match=says):
        hs.fit(photos, sources=[SOURCE], minutes=MINUTES, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_long_texts_are_noted(tmp_path: Path) -> None:
    rows = [(f"{text} {'and ' * 1200 if i == 0 else ''}", mood) for i, (text, mood) in enumerate(spoken(20, 3))]
    data = hs.read(table(tmp_path / "t.csv", rows), target="mood")
    source = hs.source(SOURCE)
    assert data.modality.caveats(data.items, source.input) == (
        "1 of 20 texts are longer than 256 tokens: read in windows; 1 of them are not read behind window 4",
    )


@pytest.fixture(scope="module")
def trained(reviews: Path, closed: hs.Result, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    """A run with gradient arms, whose work is set: two epochs, one fold, whatever this machine could afford."""
    folder = tmp_path_factory.mktemp("trained")
    asked = work_file.read(closed.run / work_file.NAME)
    climbs = [Climb(arm=arm, source=SOURCE, epochs=2, seconds=1.0) for arm in ("finetune", "scratch")]
    work = asked.model_copy(update={"climbs": tuple(climbs), "m": 1, "finalists": 2, "pruned": {}, "not_climbed": ()})
    work_file.write(folder, work)
    return fitted(reviews, folder / "run", strategies=[*CLOSED, "finetune"], replay=folder / work_file.NAME)


@pytest.mark.slow
def test_nets_are_trained_on_texts_and_a_replay_gives_the_same(
    reviews: Path, trained: hs.Result, tmp_path: Path, timeless: Strip
) -> None:
    assert (statuses(trained)["finetune"], statuses(trained)["scratch"]) == ("done", "done")
    assert verify(trained.run).ok
    again = replayed(reviews, trained, tmp_path / "again", strategies=[*CLOSED, "finetune"], deliver="auto")
    assert timeless(again.record) == timeless(trained.record)


@pytest.mark.slow
def test_a_trained_net_is_delivered_and_predicts(reviews: Path, trained: hs.Result, tmp_path: Path) -> None:
    out = replayed(reviews, trained, tmp_path / "run", strategies=["finetune"])
    texts = [text for text, _ in spoken(10, 4)]
    assert out.record.strategy == "finetune"
    assert hs.load(out.save(tmp_path / "copy")).predict(texts) == out.predict(texts)
