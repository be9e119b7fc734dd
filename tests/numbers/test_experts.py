"""Several sources under one head: who joins, and who is left out."""

from dataclasses import dataclass

import numpy as np
import pytest

from headstart.core.plan import Solve
from headstart.core.predictions import Floats, Ints
from headstart.core.problem import Task
from headstart.linear.heads import Ridge
from headstart.strategies.catalog import plan
from headstart.training.solve import Fits, solve

N = 240
TASK = Task("class", "classification", ("a", "b", "c", "d"))


@dataclass(frozen=True)
class Rows:
    """Some examples, by their numbers."""

    index: Ints
    targets: Ints
    task: Task = TASK

    @property
    def keys(self) -> list[str]:
        """Content keys."""
        return [str(at) for at in self.index]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Tables:
    """Features of made sources."""

    of_source: dict[str, dict[str, Floats]]

    def stages(self, source: str) -> tuple[str, ...]:
        return tuple(self.of_source[source])

    def of(self, source: str, stage: str, view: Rows) -> Floats:
        return self.of_source[source][stage][view.index]


@pytest.fixture
def made() -> tuple[Rows, Rows, Tables]:
    """One source knows the first bit of the label, one the second, one nothing."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, N)
    bits = np.stack([codes // 2, codes % 2], axis=1) - 0.5

    def seen(signal: Floats) -> Floats:
        return (signal[:, None] * 3 + rng.normal(size=(N, 8))).astype(np.float32)

    noise = rng.normal(size=(N, 8)).astype(np.float32)
    tables = Tables({
        "first": {"early": noise, "late": seen(bits[:, 0])},
        "second": {"early": seen(bits[:, 1]), "late": noise[::-1]},
        "blind": {"early": rng.normal(size=(N, 300)).astype(np.float32)},
    })  # fmt: skip
    half = np.arange(N) < N // 2
    return Rows(np.flatnonzero(half), codes[half]), Rows(np.flatnonzero(~half), codes[~half]), tables


def test_sources_that_know_different_things_serve_together_and_a_blind_one_stays_out(
    made: tuple[Rows, Rows, Tables],
) -> None:
    few, rest, tables = made
    (phase,) = plan("experts").phases
    assert isinstance(phase, Solve)
    together = solve(phase, ("blind", "first", "second"), few, tables)
    assert set(together.taps) == {("first", "late"), ("second", "early")}
    alone = solve(Solve("ridge", stages=("*",)), ("blind", "first", "second"), few, tables)
    right = [(one.predict(rest, tables).argmax(axis=1) == rest.targets).mean() for one in (together, alone)]
    assert right[0] > 0.9
    assert right[1] < 0.6


def test_experts_are_one_ridge_on_their_stages_side_by_side(made: tuple[Rows, Rows, Tables]) -> None:
    few, rest, tables = made
    found = solve(Solve("ridge", stages=("*",), select="experts"), ("first", "second"), few, tables)
    blocks = [[tables.of(source, stage, rows) for source, stage in found.taps] for rows in (few, rest)]
    expected = Ridge.fit(blocks[0], few.targets, 4, None).predict(blocks[1])
    np.testing.assert_allclose(found.predict(rest, tables), expected)


def test_one_source_alone_is_its_best_stage(made: tuple[Rows, Rows, Tables]) -> None:
    few, _, tables = made
    experts, best = (
        solve(Solve("ridge", stages=("*",), select=how), ("second",), few, tables) for how in ("experts", "best")
    )
    assert experts.taps == best.taps == (("second", "early"),)


def test_what_one_arm_has_fitted_another_takes_and_another_view_gets_its_own(made: tuple[Rows, Rows, Tables]) -> None:
    few, rest, tables = made
    fits, phase = Fits(), Solve("ridge", stages=("*",))
    one = solve(phase, ("second",), few, tables, fits)
    again = solve(Solve("ridge", stages=("..-2",)), ("second",), few, tables, fits)
    assert again.head is one.head
    assert solve(Solve("ridge", stages=("..-2",), penalty=1.0), ("second",), few, tables, fits).head is not one.head
    other = solve(phase, ("second",), rest, tables, fits)
    np.testing.assert_array_equal(other.head.loo, solve(phase, ("second",), rest, tables).head.loo)
