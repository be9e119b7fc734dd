"""A frozen front that runs once a view, against one that runs in every epoch: same weights, how much sooner?

    .venv/bin/python benchmarks/bench_prefix.py [--size 128] [--count 192] [--runs 5]

Ten epochs that train the end of tf_efficientnet_lite0 (random weights: what is learned does not matter here) and its
head on made pictures, on fixed views, with both loops in turn, on one thread. The store is empty before every run, so
computing and writing the activations is part of the time. The ceiling counts a backward pass as two forward passes and
all else as free: E (1 + 2 s) / (V + 3 s E) for E epochs of V views, s being the suffix's measured share of the whole
forward pass.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.plan import Rule, Train
from headstart.core.problem import Task
from headstart.data.dataset import Dataset, Item
from headstart.data.store import Store
from headstart.features.allocator import keep_blocks
from headstart.modalities.image.modality import IMAGE
from headstart.sources import load
from headstart.sources.source import Source
from headstart.training import groups, prefix
from headstart.training.loop import train

RESULT = Path(__file__).parent / "results" / "prefix.json"
NET, EPOCHS, BATCH, LR, SEED = "tf_efficientnet_lite0", 10, 32, 1e-3, 0
HEAD, REST = Rule("head", 1.0), Rule("*", None)


@dataclass(frozen=True)
class Case:
    """What is trained, on how many fixed augmented views beside the clean one."""

    name: str
    rules: tuple[Rule, ...]
    views: int = 0

    @property
    def phase(self) -> Train:
        """The phase that both loops run."""
        return Train(self.rules, EPOCHS, LR, batch=BATCH, augment=self.views > 0, views=self.views)


CASES = (
    Case("last stage", (HEAD, Rule("stage:-1", 1.0), REST)),
    Case("last two stages", (HEAD, Rule("stage:-1", 1.0), Rule("stage:-2", 1.0), REST)),
    Case("last stage, one augmented view", (HEAD, Rule("stage:-1", 1.0), REST), views=1),
)


@dataclass(frozen=True)
class Row:
    """Medians over the runs of one case.

    Attributes:
        share: of a forward pass that the suffix takes (s).
        plain: seconds of training with the whole net in every epoch.
        skipping: seconds with a front that runs once a view.
        speed_up: median of the runs' ratios, by the clock.
        speed_up_processor: the same by the processor's time, which other work on the machine leaves alone.
        ceiling: of the speed-up, by the arithmetic.
        of_ceiling: speed-up over ceiling.
        of_ceiling_processor: likewise.
        apart: largest difference of final weights.
        moved: largest difference from the weights at the start.
    """

    case: str
    share: float
    plain: float
    skipping: float
    speed_up: float
    speed_up_processor: float
    ceiling: float
    of_ceiling: float
    of_ceiling_processor: float
    apart: float
    moved: float


class Pictures:
    """Made pictures in memory, by key: coarse coloured noise, the second class in other stripes."""

    def __init__(self, count: int, size: int) -> None:
        chance = np.random.default_rng(SEED)
        coarse = chance.integers(0, 200, (count, 8, 8, 3)).repeat(-(-size // 8), 1).repeat(-(-size // 8), 2)
        pictures = coarse[:, :size, :size].astype(np.uint8)
        pictures[::2, ::4] += 50
        pictures[1::2, :, ::4] += 50
        self._pictures = torch.from_numpy(pictures)

    def batch(self, keys: Sequence[str]) -> Tensor:
        """(b, H, W, 3) uint8."""
        return self._pictures[[int(key) for key in keys]]


def dataset(count: int) -> Dataset:
    """Two classes in turn."""
    items = tuple(Item(str(at), Path(str(at)), str(at)) for at in range(count))
    task = Task("made", "classification", ("across", "upright"))
    return Dataset("made", items, np.arange(count) % 2, np.arange(count), task, IMAGE)


def share(source: Source, phase: Train, size: int, repeats: int = 9) -> float:
    """The suffix's share of a forward pass, each the median of several in turn."""
    net = source.net(2)
    rates = groups.resolve(source.card, net, phase.rules)
    still = groups.still_modules(source.card, net, rates, phase.norm)
    groups.apply(net, rates, still)
    boundary = prefix.find(net, source.card, rates, still, (size, size, 3))
    assert boundary is not None
    net.eval()
    pictures = boundary.picture.repeat(BATCH, 1, 1, 1)
    activations = boundary.activations.repeat(BATCH, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    suffix, whole, rest = prefix.Suffix(net, boundary), list[float](), list[float]()
    with torch.inference_mode():
        for _ in range(repeats + 1):
            whole.append(seconds(net, pictures))
            rest.append(seconds(suffix, activations))
    return statistics.median(rest[1:]) / statistics.median(whole[1:])


def seconds(net: nn.Module, given: Tensor) -> float:
    """Of one forward pass."""
    start = time.perf_counter()
    net(given)
    return time.perf_counter() - start


@dataclass(frozen=True)
class Timed:
    """A trained net, and what it took: seconds on the clock and seconds of the processor, all threads together."""

    net: nn.Module
    wall: float
    processor: float


def timed(source: Source, phase: Train, data: Dataset, pictures: Pictures, store: Store | None) -> Timed:
    """Train a fresh copy of the source; without a store by the plain loop."""
    net = source.net(2)
    wall, processor = time.perf_counter(), time.process_time()
    train(net, source.card, phase, data, prepared=pictures, seed=SEED, store=store)
    return Timed(net, time.perf_counter() - wall, time.process_time() - processor)


def apart(first: nn.Module, second: nn.Module) -> float:
    """The largest difference of two nets' tensors."""
    other = second.state_dict()
    return max(float((tensor - other[name]).abs().max()) for name, tensor in first.state_dict().items())


def measure(case: Case, source: Source, size: int, count: int, runs: int) -> Row:
    """Both loops in turn, so many times."""
    data, pictures = dataset(count), Pictures(count, size)
    pairs: list[tuple[Timed, Timed]] = []
    shares = [share(source, case.phase, size)]
    for run in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            if run % 2:  # neither loop is always the first
                skipping = timed(source, case.phase, data, pictures, store)
                plain = timed(source, case.phase, data, pictures, None)
            else:
                plain = timed(source, case.phase, data, pictures, None)
                skipping = timed(source, case.phase, data, pictures, store)
            assert store.counters["activations_computed"] == count * (1 + case.views)
        pairs.append((plain, skipping))
        shares.append(share(source, case.phase, size))
        print(f"{case.name}: {plain.wall:.2f} s, {skipping.wall:.2f} s")
    s = statistics.median(shares)
    ceiling = EPOCHS * (1 + 2 * s) / (1 + case.views + 3 * s * EPOCHS)
    wall = statistics.median(a.wall / b.wall for a, b in pairs)
    processor = statistics.median(a.processor / b.processor for a, b in pairs)
    return Row(
        case.name,
        share=s,
        plain=statistics.median(a.wall for a, _ in pairs),
        skipping=statistics.median(b.wall for _, b in pairs),
        speed_up=wall,
        speed_up_processor=processor,
        ceiling=ceiling,
        of_ceiling=wall / ceiling,
        of_ceiling_processor=processor / ceiling,
        apart=max(apart(a.net, b.net) for a, b in pairs),
        moved=max(apart(a.net, source.net(2)) for a, _ in pairs),
    )


def main() -> None:
    """Measure every case and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--count", type=int, default=192)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_blocks()
    source = load.load(f"random:{NET}@{options.size}")
    rows = [measure(case, source, options.size, options.count, options.runs) for case in CASES]
    for row in rows:
        reached = f"{row.of_ceiling:.0%} of {row.ceiling:.2f} ({row.of_ceiling_processor:.0%} by processor time)"
        print(f"{row.case}: s {row.share:.3f}, {row.speed_up:.2f} times, {reached}, apart {row.apart:.1e}")
    made = {
        **vars(options), "net": NET, "epochs": EPOCHS, "batch": BATCH, "threads": 1,
        "torch": torch.__version__, "machine": platform.machine(), "rows": [asdict(row) for row in rows],
    }  # fmt: skip
    RESULT.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
