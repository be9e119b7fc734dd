"""The self-test: how often does the shipped verdict claim something on this very data, where nothing is to be claimed?

Two ways to have nothing, both from cached features:

- the same learner on the same features in both roles, on fold maps of its own each: all that is between the two is the
  luck of the folds, so any claim is false;
- labels by lot: nothing can be learned, so any `helped` is false. A `hurt` may be true: to learn from noise is worse
  than to state the largest class.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.advisor.forecast import about
from headstart.advisor.ladder import Bench, tier0
from headstart.advisor.ledger import Done, Ledger
from headstart.advisor.survey import Survey
from headstart.core.progress import Silent
from headstart.core.protocols import Metric, Role
from headstart.core.record import Claim, Claims, Record, SelfTest
from headstart.data.dataset import Dataset
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.verdict import compare
from headstart.metrics.intervals import LEVEL, share
from headstart.metrics.scores import metric as metric_named
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

SAME, LOT = 20, 5  # draws: on 400 photos, one source, a minute of one core, most of it for the controls
JUDGED = 0.3  # seconds that a verdict takes beside the fits, on some hundred examples
UNLEARNED = "zero-shot"  # looks at no label: on other folds it says the same
OFTEN = "claims are more frequent on this data than their level allows: take its verdict with care"


def self_test(found: Survey, done: Mapping[str, Sequence[Done]]) -> SelfTest:
    """Say how long it will take, and draw; the ladder's own folds, labels and ledger are not touched.

    Args:
        found: the survey whose verdict is tested.
        done: what tier 0 left, arm by arm: how long the draws will take.
    """
    bench, metric, closed = found.bench, metric_named(found.work.asked.metric), competitors(found)
    one = next(arm for arm in closed if arm.role == "transfer" and arm.name != UNLEARNED)
    spent = {arm: sum(piece.seconds for piece in pieces) for arm, pieces in done.items()}
    pair, every = 2 * spent.get(one.name, 0.0) + JUDGED, sum(spent.get(arm.name, 0.0) for arm in closed) + JUDGED
    draws = f"{SAME} draws of {one.name} against itself, {LOT} of labels by lot"
    bench.progress.say(f"self-test: {draws}, about {about(SAME * pair + LOT * every)}")
    same: list[Claim] = []
    lot: list[Claim] = []
    with bench.progress.step("self-test", SAME * pair + LOT * every) as step, tempfile.TemporaryDirectory() as scratch:
        aside = replace(bench, progress=Silent(), ledger=Ledger(Path(scratch)))
        for draw in range(SAME):
            same.append(against_itself(aside, one, metric, draw))
            step.advance(pair)
        for draw in range(LOT):
            lot.append(by_lot(aside, closed, metric, draw))
            step.advance(every)
    return judged(
        counted(same, ("helped", "hurt"), may=1 - LEVEL), counted(lot, ("helped",), may=(1 - LEVEL) / 2), one.name
    )


def competitors(found: Survey) -> tuple[PlanLearner, ...]:
    """The closed forms of a run; a linear head stands in where none that learns is among its strategies."""
    closed = found.arms.closed
    if any(arm.role == "transfer" and arm.name != UNLEARNED for arm in closed):
        return closed
    return (PlanLearner("linear", "transfer", plan("linear"), found.sources, found.store), *closed)


def against_itself(bench: Bench, learner: PlanLearner, metric: Metric, draw: int) -> Claim:
    """The claim about a learner over itself, both sides on fold maps of their own."""
    data, roles = bench.data, dict[str, Role](one="transfer", other="control")
    both: OutOfFold | None = None
    for (name, role), seed in zip(roles.items(), _seeds(bench, 0, draw), strict=True):
        own = _tier0(bench, (replace(learner, name=name, role=role),), data, seed)
        both = both or OutOfFold(own.maps, data.task.outputs)
        rounds, index = np.nonzero(own.scored(name))
        both.fill(name, rounds, index, own.of(name)[rounds, index])
    assert both is not None, "there are two roles"
    return _claim(roles, both, data, metric, bench.seed)


def by_lot(bench: Bench, learners: Sequence[PlanLearner], metric: Metric, draw: int) -> Claim:
    """The claim about all closed forms, on labels that were dealt anew."""
    dealt, seed = _seeds(bench, 1, draw)
    targets = np.random.default_rng(dealt).permutation(bench.data.targets)
    data = replace(bench.data, targets=targets)
    oof = _tier0(replace(bench, data=data), learners, data, seed)
    return _claim({one.name: one.role for one in learners}, oof, data, metric, bench.seed)


def _seeds(bench: Bench, kind: int, draw: int) -> list[int]:
    """Two seeds of a draw's own."""
    return np.random.default_rng((bench.seed, kind, draw)).integers(2**31, size=2).tolist()


def _tier0(bench: Bench, learners: Sequence[PlanLearner], data: Dataset, seed: int) -> OutOfFold:
    """The shipped tier 0 on fold maps of that seed."""
    maps = fold_maps(data.strata, data.groups, seed)
    oof = OutOfFold(maps, data.task.outputs)
    tier0(replace(bench, maps=maps, ledger=Ledger(bench.ledger.folder / str(seed))), learners, oof)
    return oof


def _claim(roles: Mapping[str, Role], oof: OutOfFold, data: Dataset, metric: Metric, seed: int) -> Claim:
    found = compare(roles, oof, data.targets, data.groups, metric, seed)
    assert found is not None, "both roles are there"
    return found.claim


def counted(claims: Sequence[Claim], false: Sequence[Claim], may: float) -> Claims:
    """How many claims are false, with the exact interval of their share.

    Args:
        claims: one a draw.
        false: those that must not be made.
        may: share that the level allows.
    """
    hits = sum(one in false for one in claims)
    found = share(hits, len(claims))
    ends = {"value": found.value, "low": found.low, "high": found.high}
    return Claims(draws=len(claims), claims=hits, level=LEVEL, may=may, **ends)


def judged(same: Claims, lot: Claims, learner: str) -> SelfTest:
    """Both shares in one sentence; too frequent is what is surely above what the level allows."""
    said = (
        f"Self-test: where there is nothing to find, a gain was claimed in {_share(same)} with {learner} against "
        f"itself and in {_share(lot)} with labels by lot."
    )
    return SelfTest(same=same, lot=lot, excessive=any(one.low > one.may for one in (same, lot)), sentence=said)


def _share(found: Claims) -> str:
    ends = f"[{100 * found.low:.0f}, {100 * found.high:.0f}] %"
    return f"{found.claims} of {found.draws} draws ({ends}, {100 * found.may:.0f} % allowed)"


def stating(tested: SelfTest | None, record: Record) -> Record:
    """The record with the self-test in it, if there was one, and a note where claims are too frequent."""
    if tested is None:
        return record
    notes = (*record.notes, OFTEN) if tested.excessive else record.notes
    return record.model_copy(update={"self_test": tested, "notes": notes})
