"""How sure a ranking is, against what it must be by counting."""

import numpy as np

from headstart.core.record import StageScore
from headstart.selection.rank import ranked, sureness


def test_the_same_hits_are_equally_sure() -> None:
    hits = np.tile(np.random.default_rng(0).random(50) < 0.7, (4, 1))
    np.testing.assert_allclose(sureness(hits), 0.25)


def test_one_that_is_right_wherever_another_is_and_more_often_wins_all_but_the_draws_without_those_examples() -> None:
    n, more = 40, 3
    hits = np.zeros((2, n), dtype=bool)
    hits[:, :20] = True
    hits[1, 20 : 20 + more] = True
    tied = (1 - more / n) ** n  # no example that tells them apart was drawn
    np.testing.assert_allclose(sureness(hits), [tied / 2, 1 - tied / 2], atol=0.02)


def test_two_that_are_right_on_different_examples_are_a_coin_toss_however_many_there_are() -> None:
    hits = np.zeros((2, 400), dtype=bool)
    hits[0, ::2], hits[1, 1::2] = True, True
    np.testing.assert_allclose(sureness(hits), 0.5, atol=0.05)


def test_more_examples_make_the_same_difference_surer() -> None:
    few, many = (np.array([[True] * 6 + [False] * 4, [True] * 5 + [False] * 5]).repeat(k, axis=1) for k in (1, 30))
    assert sureness(few)[0] < sureness(many)[0]
    assert sureness(many)[0] > 0.99


def test_ranking_is_by_accuracy_then_by_sureness() -> None:
    rows = [("a", 0.8, 0.1), ("b", 0.9, 0.3), ("c", 0.9, 0.5), ("d", 0.1, 0.0)]
    curve = [StageScore(source="s", stage=name, dim=1, accuracy=acc, sure=sure) for name, acc, sure in rows]
    assert [one.stage for one in ranked(curve)] == ["c", "b", "a", "d"]


def test_evidence_ranks_beside_accuracy() -> None:
    rows = [("a", 0.9, 1.0), ("b", 0.9, 3.0), ("c", 0.8, 2.0), ("d", 0.2, -1.0)]
    curve = [StageScore(source="s", stage=name, dim=1, accuracy=acc, logme=value) for name, acc, value in rows]
    assert [one.stage for one in ranked(curve)] == ["b", "a", "c", "d"]
    swapped = [one.model_copy(update={"accuracy": one.logme, "logme": one.accuracy}) for one in curve]
    assert [one.stage for one in ranked(swapped)] == ["b", "a", "c", "d"]
