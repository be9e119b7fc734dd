"""The rate over the steps, and what the curves say."""

import pytest

from headstart.training import schedule, stopping


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.2), (2, 0.2), (10, 0.0), (10, 0.3), (97, 0.2), (5, 1.0)])
def test_one_cycle_rises_to_the_peak_and_falls_towards_zero(steps: int, warmup: float) -> None:
    shares = [schedule.share("one-cycle", step, steps, warmup) for step in range(steps)]
    top = shares.index(max(shares))
    assert max(shares) == pytest.approx(1.0)
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert min(shares) > 0


def test_one_cycle_is_linear_then_cosine() -> None:
    shares = [schedule.share("one-cycle", step, 10, 0.2) for step in range(10)]
    assert shares[:3] == [0.5, 1.0, 1.0]
    assert shares[6] == pytest.approx(0.5)


def test_constant_is_constant() -> None:
    assert {schedule.share("constant", step, 7, 0.5) for step in range(7)} == {1.0}


def test_the_first_of_equal_epochs_is_the_best() -> None:
    assert stopping.best([0.5, 0.3, 0.3]) == 1


def test_patience_counts_from_the_best_epoch() -> None:
    falling_then_flat = [0.9, 0.5, 0.6, 0.55]
    assert not stopping.should_stop([], 1)
    assert not stopping.should_stop(falling_then_flat, 3)
    assert stopping.should_stop(falling_then_flat, 2)


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [
        ([0.6, 0.3, 0.1], [0.5, 0.4, 0.6], True),
        ([0.6, 0.3, 0.4], [0.5, 0.4, 0.6], False),  # the training loss rose as well: that is divergence
        ([0.6, 0.3, 0.1], [0.5, 0.4, 0.41], False),  # noise
        ([0.6, 0.3, 0.1], [], False),
    ],
)
def test_overfitting_is_both_curves_parting(train: list[float], validation: list[float], expected: bool) -> None:
    assert stopping.overfitted(train, validation) is expected
