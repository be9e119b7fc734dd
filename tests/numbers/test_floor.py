"""What needs no transfer: its leave-one-out accuracies, against the heads that the controls' plans fit."""

from dataclasses import dataclass

import numpy as np
import pytest

from headstart.core.plan import Solve
from headstart.core.predictions import Floats
from headstart.core.problem import Task
from headstart.selection.loo import floor
from headstart.strategies.catalog import plan
from headstart.training.solve import solve

TASK = Task("class", "classification", ("a", "b", "c"))


class View:
    """All examples."""

    task, targets, keys = TASK, np.arange(90) % 3, tuple(map(str, range(90)))

    def __len__(self) -> int:
        return 90


@dataclass(frozen=True)
class Tables:
    """Features of made sources."""

    of_source: dict[str, list[Floats]]

    def stages(self, source: str) -> tuple[str, ...]:
        return tuple(map(str, range(len(self.of_source[source]))))

    def of(self, source: str, stage: str, view: View) -> Floats:
        return self.of_source[source][int(stage)]


def test_the_floor_is_what_the_controls_reach() -> None:
    rng = np.random.default_rng(0)
    wanted = np.eye(3)[View.targets]
    tables = Tables({
        "raw": [wanted + rng.normal(size=(90, 3))],
        "untrained": [wanted @ rng.normal(size=(3, 5)) + rng.normal(size=(90, 5)), rng.normal(size=(90, 4))],
    })  # fmt: skip
    found = floor("raw", "untrained", View(), tables)
    for value, control, source in ((found.raw, "raw", "raw"), (found.random, "random-features", "untrained")):
        (phase,) = plan(control).phases
        assert isinstance(phase, Solve)
        loo = solve(phase, (source,), View(), tables).head.loo
        assert value == pytest.approx((loo.argmax(axis=1) == View.targets).mean())
    assert found.majority == pytest.approx(1 / 3)
    assert found.best == max(found.raw, found.random)
