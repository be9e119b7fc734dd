"""A table extended by a corpus: contexts, maps, spelling, tuning, their scores, and the command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from headstart.cli import words as command
from headstart.cli.main import main
from headstart.core.errors import UserError
from headstart.core.progress import Silent
from headstart.words import cooccurrence, corpus, induction, scores, spelling, tuning
from headstart.words.contexts import Neighbours, around, known_vectors, occurrences
from headstart.words.extend import NOTHING, Asked, extend
from headstart.words.induction import METHODS
from headstart.words.load import load
from headstart.words.record import WordsRecord
from headstart.words.save import save
from headstart.words.vectors import WordVectors, unit

Capture = pytest.CaptureFixture[str]
WIDTH, KNOWN, NEW, STOP = 12, 400, 12, 6


def spelt(at: int) -> str:
    """Words whose spelling says nothing."""
    rng = np.random.default_rng(at)
    return "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 7))


@pytest.fixture(scope="module")
def world() -> tuple[WordVectors, corpus.Corpus, dict[str, Any]]:
    """A language: texts have a theme, words near it are drawn, and stop words, all alike, stand everywhere.

    The first words are stop words; the last ones are not in the table, and their true vectors are returned.
    """
    rng = np.random.default_rng(0)
    true = rng.normal(size=(KNOWN + NEW, WIDTH)).astype(np.float32)
    true[:STOP] = 4 * np.eye(WIDTH)[0] + 0.3 * true[:STOP]
    names = [spelt(at) for at in range(len(true))]
    texts = []
    for theme in unit(rng.normal(size=(1500, WIDTH))):
        chances = np.exp(2.5 * true[STOP:] @ theme)
        drawn = rng.choice(np.arange(STOP, len(true)), 14, p=chances / chances.sum())
        mixed = np.where(rng.random(14) < 0.4, rng.integers(0, STOP, 14), drawn)
        texts.append(" ".join(names[at] for at in mixed))
    table = WordVectors("made up", tuple(names[:KNOWN]), true[:KNOWN], "0")
    return table, corpus.encode(texts), dict(zip(names[KNOWN:], true[KNOWN:], strict=True))


@pytest.fixture(autouse=True)
def _few_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small language needs no more, and tests are quicker."""
    monkeypatch.setattr(spelling, "BUCKETS", 5_000)


def refused(expected: str, do: Any) -> str:
    with pytest.raises(UserError, match=expected) as error:
        do()
    return " ".join(str(error.value).split())


# --- corpora


def test_texts_become_words_in_the_tables_case() -> None:
    found = corpus.encode(["The well-known dog\u2019s 2 ears.", "", "Don't_stop the"])
    assert found.words == ("the", "well-known", "dog", "'s", "2", "ears", "don", "'t", "stop")
    assert found.codes.tolist() == [0, 1, 2, 3, 4, 5, -1, -1, 6, 7, 8, 0, -1]
    assert (found.tokens, found.texts, found.counts[0]) == (10, 3, 2)
    assert corpus.encode(["The"], lower=False).words == ("The",)
    assert corpus.encode(["a b"]).sha256 != corpus.encode(["a", "b"]).sha256


def test_a_corpus_is_a_file_a_folder_or_a_column(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one two\nthree\n\nfour")
    (tmp_path / "b.txt").write_text("five")
    expected = [0, 1, 2, -1, 3, -1]
    assert corpus.read(tmp_path / "in" / "a.txt").codes.tolist() == expected
    assert corpus.read(tmp_path).words == ("five", "one", "two", "three", "four")
    rows = {"id": [1, 2, 3], "said": ["one two three", "four", None]}
    pyarrow.parquet.write_table(pa.table(rows), tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text('{"said": "one two three"}\n{"said": "four"}\n')
    (tmp_path / "t.csv").write_text('id,said\n1,"one two\nthree"\n2,four\n')
    (tmp_path / "t.tsv").write_text("id\tsaid\n1\tone two, three\n2\tfour\n")
    for ending in ("parquet", "jsonl", "csv", "tsv"):
        assert corpus.read(tmp_path / f"t.{ending}", "said").codes.tolist() == expected, ending


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    assert "nothing there" in refused("a corpus", lambda: corpus.read(tmp_path / "none.txt"))
    refused(r"a folder with \.txt files", lambda: corpus.read(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    assert "other bytes at 3" in refused("text in UTF-8", lambda: corpus.read(tmp_path / "a.txt"))
    (tmp_path / "a.txt").write_text("... !")
    assert "not one word" in refused("a corpus", lambda: corpus.read(tmp_path / "a.txt"))
    assert "Leave it out" in refused("--text only for a table", lambda: corpus.read(tmp_path / "a.txt", "said"))
    (tmp_path / "t.csv").write_text("said,n\none,1\n")
    assert "has said, n" in refused("--text COLUMN", lambda: corpus.read(tmp_path / "t.csv"))
    assert "Did you mean said?" in refused("a column of", lambda: corpus.read(tmp_path / "t.csv", "sayd"))
    refused("a column of text", lambda: corpus.read(tmp_path / "t.csv", "n"))
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    refused("a readable table", lambda: corpus.read(tmp_path / "t.parquet", "said"))


# --- contexts


def test_averages_are_those_of_a_slow_loop_and_never_leave_a_text() -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(list("abcdefg"), 9)) for _ in range(30)]
    found = corpus.encode(texts)
    vectors = rng.normal(size=(len(found.words), 3)).astype(np.float32)
    known = np.array([word != "c" for word in found.words])
    words = np.array([found.words.index("a"), found.words.index("c")])
    weights = Neighbours(found, vectors, known).weights(smooth=0.1, skipped=1)
    groups = ((-1,), around(3))
    fast = Neighbours(found, vectors, known).averages(occurrences(found, words, 10**6, 0), groups, weights)
    share = found.counts / found.counts.sum()
    for row, word in enumerate(words):
        slow = []
        for group in groups:
            total, mass = np.zeros(3), 0.0
            for text in texts:
                codes = [found.words.index(w) for w in text.split()]
                for at in [i for i, code in enumerate(codes) if code == word]:
                    for place in group:
                        if not 0 <= at + place < len(codes):
                            continue
                        other = codes[at + place]
                        counted = known[other] and other not in (word, int(found.counts.argmax()))
                        weight = 0.1 / (0.1 + share[other]) if counted else 0.0
                        total, mass = total + weight * vectors[other], mass + weight
            slow.append(total / mass)
        np.testing.assert_allclose(fast[row], np.concatenate(slow), rtol=1e-4)


def test_no_more_occurrences_are_seen_than_asked_for() -> None:
    found = corpus.encode(["a b a c a", "b a"])
    at = occurrences(found, np.array([1, 0]), 2, 0)
    assert np.bincount(at.owners).tolist() == [2, 2]
    assert {found.words[code] for code in found.codes[at.places[at.owners == 0]]} == {"b"}
    assert len(occurrences(found, np.array([0]), 100, 0).places) == 4
    alone = corpus.encode(["a", "a"])
    neighbours = Neighbours(alone, np.ones((1, 2), np.float32), np.array([True]))
    at = occurrences(alone, np.array([0]), 5, 0)
    assert neighbours.averages(at, (around(2),), neighbours.weights()).tolist() == [[0.0, 0.0]]


# --- maps


def fitted(
    world: Any, method: str, hidden: frozenset[str] = NOTHING
) -> tuple[induction.Induction, Neighbours, np.ndarray]:
    table, text, new = world
    neighbours = known_vectors(text, table.rows, table.table, hidden)
    with Silent().step("") as step:
        made = induction.fit(METHODS[method], table, neighbours, hidden, 0, step)
    return made, neighbours, np.array([text.words.index(word) for word in new])


def test_a_new_word_comes_out_near_its_true_vector_and_nearer_than_an_average(world: Any) -> None:
    wanted = np.stack(list(world[2].values()))
    cosines = {}
    for method in ("places", "a-la-carte", "additive"):
        made, _, words = fitted(world, method)
        cosines[method] = 1 - scores.drift(wanted, made(words)).mean()
    assert cosines["places"] > 0.75
    assert cosines["a-la-carte"] > cosines["additive"] + 0.2


def test_maps_are_fitted_on_as_many_occurrences_as_they_are_used_on(world: Any) -> None:
    made, neighbours, words = fitted(world, "places")
    assert [one.occurrences for one in made.fits] == sorted(one.occurrences for one in made.fits)
    cosines = [one.loo_cosine for one in made.fits]
    assert cosines[-1] > cosines[0] + 0.1  # more occurrences say more
    few, many = made(words, 1), made(words)
    assert not np.allclose(few, many)
    lengths = np.linalg.norm(many, axis=1)
    known = np.linalg.norm(neighbours.vectors[neighbours.known], axis=1)
    assert np.quantile(known, 0.1) < lengths.mean() < np.quantile(known, 0.9)


def test_what_is_hidden_is_seen_by_nobody(world: Any) -> None:
    table, text, _ = world
    hidden = frozenset(table.words[50:80])
    spoilt = table.table.copy()
    spoilt[50:80] = 1e3
    at = np.array([text.words.index(word) for word in sorted(hidden)])
    made = [
        fitted((replace(table, table=one), text, world[2]), "joined", hidden)[0](at, 8) for one in (table.table, spoilt)
    ]
    np.testing.assert_array_equal(*made)


def test_spelling_learns_what_endings_mean() -> None:
    rng = np.random.default_rng(0)
    stems = [spelt(at) for at in range(300)]
    ends = rng.integers(0, 3, 300)
    words = [stem + ("ing", "ness", "ously")[end] for stem, end in zip(stems, ends, strict=True)]
    vectors = (3 * np.eye(5)[ends] + 0.3 * rng.normal(size=(300, 5))).astype(np.float32)
    learnt = spelling.fit(words[:250], vectors[:250])
    assert (learnt(words[250:])[:, :3].argmax(axis=1) == ends[250:]).mean() > 0.95


def test_spelling_is_the_ridge_of_its_normal_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelling, "BUCKETS", 40)
    words = [spelt(at) for at in range(60)]
    vectors = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    features = spelling.ngrams(words).toarray().astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=0.6)  # hashes may meet
    exact = np.linalg.solve(features.T @ features + 2 * np.eye(40), features.T @ (vectors - vectors.mean(axis=0)))
    np.testing.assert_allclose(spelling.fit(words, vectors, 2.0, 60).weight, exact, atol=1e-4)


def test_a_corpus_in_another_language_is_refused(world: Any) -> None:
    foreign = corpus.encode(["eins zwei drei"] * 9)
    assert "got 0" in refused("a corpus with 50 words of the table", lambda: extend(world[0], foreign))


# --- tuning


def test_counts_are_those_of_a_slow_loop() -> None:
    found = corpus.encode(["a b c a", "b c"])
    counts = cooccurrence.count(found, np.array([0, 1, 2]), reach=2).counts.toarray()
    expected = np.zeros((3, 3))
    for text in ([0, 1, 2, 0], [1, 2]):
        for i, left in enumerate(text):
            for j in range(i + 1, min(i + 3, len(text))):
                if left != text[j]:
                    expected[left, text[j]] += 1 / (j - i)
                    expected[text[j], left] += 1 / (j - i)
    np.testing.assert_allclose(counts, expected)


def tuned(world: Any, **asked: Any) -> tuple[tuning.Tuned, np.ndarray, np.ndarray]:
    table, text, _ = world
    neighbours = known_vectors(text, table.rows, table.table, NOTHING)
    words = np.flatnonzero(text.counts >= 5)
    before = neighbours.vectors[words] + np.float32(0.3) * ~neighbours.known[words, None]
    with Silent().step("") as step:
        done = tuning.tune(
            cooccurrence.count(text, words),
            before,
            neighbours.known[words],
            **{"pull": 0.1, "most": 1.0} | asked,
            step=step,
        )
    return done, before, neighbours.known[words]


def test_sweeps_lower_the_error_and_the_limit_on_drift_holds(world: Any) -> None:
    free, before, known = tuned(world)
    assert free.share == 1
    assert free.errors[-1] < 0.5 * free.errors[0]
    held, _, _ = tuned(world, most=0.01)
    assert held.asked == pytest.approx(free.drift)
    assert free.drift > 0.01
    assert 0.0099 < held.drift <= 0.01
    assert scores.drift(before[known], held.table[known]).mean() == pytest.approx(held.drift)
    stiff, _, _ = tuned(world, pull=1e6)
    np.testing.assert_allclose(stiff.table, before, atol=1e-2)


def test_a_sweep_is_the_minimum_for_each_word_in_turn(world: Any) -> None:
    """The gradient of the objective in the word that was solved last is zero."""
    words = np.flatnonzero((text := world[1]).counts >= 5)[:30]
    together = cooccurrence.count(text, words)
    before = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    halves, offsets = before.astype(np.float64) / 2, np.zeros(30)
    tuning._sweep(together, halves, offsets, before, 0.5)
    seen = together.counts.toarray()[-1]
    at = np.flatnonzero(seen)
    weight = np.minimum(1, (seen[at] / tuning.FULL) ** tuning.POWER)
    error = halves[at] @ halves[-1] + offsets[at] + offsets[-1] - np.log(seen[at])
    gradient = halves[at].T @ (weight * error) + 0.5 * 2 * (2 * halves[-1] - before[-1])
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


# --- scores


def test_ranks_are_those_of_sorting() -> None:
    rng = np.random.default_rng(0)
    table, made = unit(rng.normal(size=(200, 4))), rng.normal(size=(90, 4)).astype(np.float32)
    found = scores.ranks(made, np.arange(90), table)
    for row in range(90):
        order = np.argsort(-(table @ made[row]))
        assert order[found[row] - 1] == row
    said = scores.summary(np.array([1, 2, 100]))
    assert (said.median, said.top10, said.words) == (2, 2 / 3, 3)
    assert said.mrr == pytest.approx((1 + 0.5 + 0.01) / 3)
    assert scores.ranks(np.zeros((1, 4), np.float32), np.array([3]), table).tolist() == [200]  # says nothing


# --- all of it


def test_extend_adds_tunes_and_judges(world: Any) -> None:
    table, text, new = world
    pairs = [(table.words[i], table.words[i + 1], float(i % 7)) for i in range(10, 40)]
    done = extend(table, text, Asked(), name="talk", pairs={"made": [*pairs, (next(iter(new)), table.words[0], 1.0)]})
    record, known = done.record, len(table.words)
    assert done.words[:known] == table.words
    assert set(done.words[known:]) == {word for word in new if text.counts[text.words.index(word)] >= 5}
    assert done.table.shape == (known + record.added.words, WIDTH)
    assert record.added.words + record.added.left_out == NEW
    assert scores.drift(np.stack([new[word] for word in done.words[known:]]), done.table[known:]).mean() < 0.3
    assert record.hidden
    ours, additive = record.ranks("joined"), record.ranks("additive")
    assert ours
    assert additive
    assert ours.median < additive.median / 4
    assert record.hidden.contexts == 8
    assert record.tuning
    assert record.tuning.drift <= 0.02
    moved = scores.drift(table.table, done.table[:known])
    assert 0 < moved.mean() <= 0.02
    assert moved.max() == pytest.approx(record.tuning.largest)
    assert record.similarity[0].pairs == 30
    assert record.similarity[0].left_out == 1
    counts = [one.occurrences for one in record.added.first]
    assert counts == sorted(counts, reverse=True)
    again = WordsRecord.model_validate_json(record.model_dump_json(by_alias=True))
    assert again == record
    assert json.loads(record.model_dump_json(by_alias=True))["schema"] == 1


def test_equal_seeds_equal_tables_and_without_drift_old_words_stay(world: Any) -> None:
    one, other = (extend(world[0], world[1], Asked(drift=0, hidden=0)) for _ in range(2))
    np.testing.assert_array_equal(one.table, other.table)
    np.testing.assert_array_equal(one.table[: len(world[0].words)], world[0].table)
    assert one.record.tuning is None


def test_it_says_when_nothing_is_new_judged_or_better(world: Any) -> None:
    table, text, _ = world
    nothing = extend(table, text, Asked(at_least=10**6, drift=0))
    assert "No new word" in nothing.record.notes[0]
    assert nothing.record.hidden is None
    assert "No word was hidden" in nothing.record.notes[1]
    bad = extend(table, text, Asked(method="spelling", drift=0))  # which says nothing in this language
    averages = bad.record.ranks("additive-no-stop")
    assert averages
    ours = bad.record.ranks("spelling")
    assert ours
    assert ("not to be trusted" in " ".join(bad.record.notes)) == (ours.median >= averages.median)
    assert ours.median >= averages.median


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(method="joint"), "the name of a method of induction"),
        (Asked(at_least=0), "at least one occurrence"),
        (Asked(drift=2), "a drift from 0 to 1"),
        (Asked(drift=float("nan")), "a drift from 0 to 1"),
        (Asked(hidden=-1), "a number of hidden words"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(world: Any, asked: Asked, expected: str) -> None:
    refused(expected, lambda: extend(world[0], world[1], asked))


# --- the command


@pytest.fixture
def files(world: Any, tmp_path: Path) -> tuple[str, str]:
    table, text, _ = world
    path = save(tmp_path / "table.txt", table.words, table.table)
    said = " ".join("\n\n" if code < 0 else text.words[code] for code in text.codes)
    (tmp_path / "talk.txt").write_text(said)
    return f"glove:{path}", str(tmp_path / "talk.txt")


def test_the_command_writes_vectors_and_record(
    files: tuple[str, str], tmp_path: Path, capsys: Capture, world: Any
) -> None:
    table, talk = files
    judged = tmp_path / "judged.csv"
    judged.write_text("".join(f"{world[0].words[i]},{world[0].words[i + 1]},{i % 5}\n" for i in range(9)))
    out = tmp_path / "out" / "talk"
    given = ["words", "extend", table, talk, "--out", str(out), "--hidden", "40", "--similarity", str(judged)]
    assert main(given) == 0
    said, progress = capsys.readouterr()
    for expected in ("new words (", "40 hidden words, 8 contexts", "joined", "additive", "tuned:", "judged:"):
        assert expected in " ".join(said.split()), expected
    assert said.splitlines()[-1] == str(out)
    assert "tune" in progress
    assert sorted(path.name for path in out.iterdir()) == ["vectors.safetensors", "vectors.words.txt", "words.json"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["talk"]
    kept = WordsRecord.model_validate_json((out / "words.json").read_text())
    assert kept.corpus.name == talk
    new = kept.added.first[0].word
    assert main(["words", "near", str(out), new, "--k", "3", "--json"]) == 0
    near = [one["word"] for one in json.loads(capsys.readouterr().out)["near"]]
    assert near == list(kept.added.first[0].near)
    assert main(given) == 2
    assert "a new folder for --out" in capsys.readouterr().err


def test_json_is_the_record_and_nothing_else(files: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    given = ["words", "extend", *files, "--out", str(out), "--hidden", "0", "--drift", "0", "--form", "vec", "--json"]
    assert main([*given, "--method", "places", "--at-least", "7", "--seed", "3", "--quiet"]) == 0
    said, progress = capsys.readouterr()
    record = WordsRecord.model_validate_json(said)
    assert (record.method, record.added.at_least, record.seed, record.tuning, record.hidden) == (
        "places",
        7,
        3,
        None,
        None,
    )
    assert progress == ""
    assert len(load(str(out / "vectors.vec")).words) == KNOWN + record.added.words


def test_an_interrupted_write_leaves_nothing(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("headstart.words.save.save", full)
    with pytest.raises(OSError, match="no space"):
        command._write(tmp_path / "deep" / "out", ("a",), np.ones((1, 2), np.float32), "{}", "vec")
    assert not list((tmp_path / "deep").iterdir())


def test_near_and_analogy_print_words_and_cosines(files: tuple[str, str], capsys: Capture, world: Any) -> None:
    one, other, third = world[0].words[10:13]
    assert main(["words", "near", files[0], one, "--k", "2"]) == 0
    said = capsys.readouterr().out
    best = world[0].near(one, 2)
    assert all(f"{near.word} {near.cosine:.3f}" in " ".join(said.split()) for near in best)
    assert main(["words", "analogy", files[0], one, other, third, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["question"] == [one, other, third]
    assert said["answers"][0]["word"] == world[0].analogy(one, other, third, 1)[0].word


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["near", "TABLE", "zzzzzzzz"], "a word of glove:"),
        (["analogy", "glove:none.txt", "a", "b", "c"], "a file of weights"),
        (["extend", "TABLE", "none.txt", "--out", "OUT"], "a corpus"),
        (["extend", "TABLE", "TALK", "--out", "OUT", "--form", "npz"], "--form safetensors|vec|bin|txt"),
        (["extend", "TABLE", "TALK", "--out", "OUT", "--method", "adative"], "Did you mean additive"),
        (["nearest", "TABLE", "a"], "Did you mean near?"),
    ],
)
def test_a_mistake_is_two_lines_and_status_2(
    files: tuple[str, str], given: list[str], expected: str, tmp_path: Path, capsys: Capture
) -> None:
    stands_for = {"TABLE": files[0], "TALK": files[1], "OUT": str(tmp_path / "out")}
    assert main(["words", *(stands_for.get(word, word) for word in given)]) == 2
    error = capsys.readouterr().err
    mistake = error[error.index("headstart:") :]
    assert expected in mistake
    assert len(mistake.splitlines()) <= 2
    assert not (tmp_path / "out").exists()
