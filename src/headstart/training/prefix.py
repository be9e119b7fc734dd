"""A frozen front runs once for each view of an example; what it put out is kept on disk, and only the rest is trained.

Where a phase freezes the first stages, every epoch would compute the same activations again at their end, the
boundary. Here they are computed once and read by row. The net's code stays whole: behind the boundary it runs as it is,
while each module before it answers with what it once said to one picture, so nothing before the boundary costs anything
and no family of nets needs code of its own.

Over E epochs of one view, where the trained suffix has the share s of the forward work and a backward pass costs two
forward passes, this is E (1 + 2 s) / (1 + 3 s E) times as fast: the ceiling that benchmarks/bench_prefix.py compares
with.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.store import Store, Table
from headstart.features import devices
from headstart.sources.card import Card
from headstart.sources.staged import until
from headstart.training import adapters, groups
from headstart.training.ahead import ahead
from headstart.training.views import CLEAN, CLEAN_EPOCH, Views

LIMIT = 4_000_000_000  # bytes of activations of a phase; above that the front runs in every epoch
SHARD = 64_000_000  # bytes written at once: what a kill can lose, and what memory must hold
CODE = "prefix-1"  # part of every key: change it when the same net would give other activations
_CLOSE = 1e-5  # of the largest value: what another order of the same sums may differ by


@dataclass(frozen=True)
class Boundary:
    """Where the frozen front ends.

    Args:
        name: the module of the net that puts the activations out.
        picture: (1, H, W, C) uint8; what the net is given while the front is skipped.
        outputs: what the modules of the front, by name, put out for that picture.
        activations: (1, ...) what the boundary put out for it.
    """

    name: str
    picture: Tensor
    outputs: Mapping[str, Any]
    activations: Tensor

    @property
    def bytes(self) -> int:
        """Bytes of one example's activations."""
        return self.activations.numel() * self.activations.element_size()


class Suffix(nn.Module):
    """The net behind the boundary; its modules are the net's own.

    Args:
        net: the whole net.
        boundary: one that `find` gave for it.
    """

    def __init__(self, net: nn.Module, boundary: Boundary) -> None:
        super().__init__()
        self.net, self.boundary = net, boundary

    def forward(self, activations: Tensor) -> Tensor:
        """(n, ...) activations of the boundary -> (n, C) logits."""
        answers = {**self.boundary.outputs, self.boundary.name: activations}
        with _answering(self.net, answers):
            return self.net(self.boundary.picture)


def find(
    net: nn.Module, card: Card, rates: groups.Rates, still: Sequence[str], shape: Sequence[int]
) -> Boundary | None:
    """Where the frozen front of a net ends, or None where it has none that could be left out.

    The front is every stage before the first that has something to learn. It can be left out if all that runs in it is
    still (no statistics move, no dropout), if nothing is drawn by chance, and if no other way leads past the boundary
    from the picture to the head. The last two are not read off the net but tried, on two pictures.

    Args:
        net: of the parts `trunk` and `head`; modes and gradients are set as for training when this returns.
        card: of the net's source.
        rates: of every parameter, as `groups.resolve` gives them.
        still: names of modules in inference mode, as `groups.still_modules` gives them.
        shape: (H, W, C) of a prepared example.
    """
    name = _last_frozen(card, rates) if card.input.fixed else None
    if name is None:
        return None
    noise = torch.randint(0, 256, (1, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    pair = torch.cat([noise, noise // 4]).to(devices.of(net))
    net.eval()
    calls = _calls(net, pair[:1])
    groups.apply(net, rates, still)
    order = [called for called, _ in calls]
    if order.count(name) != 1 or not _is_still(net, order[: order.index(name) + 1], still):
        return None  # passed several times, or something before it moves
    by_chance, activations = _drawn(net, name, pair)
    boundary = _boundary(name, pair[:1], calls)
    if by_chance or activations.requires_grad or not _equal(activations[:1], boundary.activations):
        return None
    net.eval()
    whole, replayed = _under_head(net, net, pair), _under_head(net, Suffix(net, boundary), activations)
    groups.apply(net, rates, still)
    return boundary if whole is not None and replayed is not None and _equal(whole, replayed) else None


class Activations:
    """What a frozen front put out for each view of the examples, on disk; shown in place of their pixels.

    Args:
        net: the whole net.
        boundary: where its front ends.
        views: of the examples; fixed ones.
        store: where activations are kept.
        identity: of all but the views that determines them; see `identity`.
        batch: examples in a forward pass of the front; as many as in a step of training, sums come out the same.
    """

    def __init__(
        self, net: nn.Module, boundary: Boundary, views: Views, store: Store, identity: str, batch: int
    ) -> None:
        self.net, self.boundary, self.views, self._size = net, boundary, views, batch
        self._store, self._identity = store, identity
        self._tables: dict[int, Table] = {}
        # Channels-last maps lie on disk as they lie in memory, so that nothing is turned round when they are read.
        self._turned = boundary.activations.ndim == 4 and not boundary.activations.is_contiguous()

    def ready(self, keys: Sequence[str], epoch: int) -> None:
        """Run the front on those of the examples that it has not seen as this epoch shows them."""
        view = self.views.number(epoch)
        table = self._table(view)
        todo = table.missing(keys)
        parts = [todo[at : at + self._size] for at in range(0, len(todo), self._size)]
        at_once = max(1, SHARD // (self.boundary.bytes * self._size))  # whole batches: what was killed goes on alike
        device = devices.of(self.net)
        done: list[str] = []
        rows: list[np.ndarray[Any, Any]] = []
        with torch.inference_mode():
            for part, pixels in zip(parts, ahead(self.views.fixed(part, view) for part in parts), strict=True):
                out = until(self.net, self.boundary.name, pixels.to(device))
                rows.append((out.permute(0, 2, 3, 1) if self._turned else out).cpu().contiguous().numpy())
                done += part
                if len(rows) == at_once or len(done) == len(todo):
                    table.append(done, np.concatenate(rows))
                    self._store.counters["activations_computed"] += len(done)
                    todo, done, rows = todo[len(done) :], [], []

    def shown(self, keys: Sequence[str], epoch: int, chance: int) -> Tensor:  # noqa: ARG002 - nothing is drawn anew
        """(b, ...) activations for the examples as that epoch, from 1, shows them; they must be `ready`."""
        rows = torch.from_numpy(self._table(self.views.number(epoch)).get(keys))
        return rows.permute(0, 3, 1, 2) if self._turned else rows

    def batch(self, keys: Sequence[str]) -> Tensor:
        """(b, ...) activations for the examples as they are; they must be `ready`."""
        return self.shown(keys, CLEAN_EPOCH, 0)

    @property
    def clean(self) -> "Activations":
        """Itself, as `Batches`: for validation."""
        return self

    def _table(self, view: int) -> Table:
        if view not in self._tables:
            seed = "clean" if view == CLEAN else f"view {view} of seed {self.views.seed}"
            self._tables[view] = self._store.table("features", self._identity, seed)
        return self._tables[view]


def identity(card: Card, boundary: Boundary, views: Views, frozen: Mapping[str, str]) -> str:
    """sha256 of all that determines activations but the example and its view.

    Args:
        card: says architecture and preprocessing.
        boundary: where they are taken.
        views: of what kind of data.
        frozen: digests of the tensors that the phase must not change; the front's are among them.
    """
    said = [CODE, card.architecture.model_dump_json(), card.input.model_dump_json(), boundary.name, "float32"]
    said += [views.modality.name, views.modality.version, views.modality.changes]
    said += [f"{name} {digest}" for name, digest in sorted(frozen.items())]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


def _last_frozen(card: Card, rates: groups.Rates) -> str | None:
    """The module that the last stage of the frozen front ends in; None where the first stage already learns."""
    tap: str | None = None
    learning = {adapters.plain(name) for name, rate in rates.items() if rate is not None}
    for stage in card.stages:
        if any(f"trunk.{name}" in learning for name in stage.parameters):
            break
        tap = stage.tap
    return None if tap is None else f"trunk.{tap}".rstrip(".")


def _boundary(name: str, picture: Tensor, calls: Sequence[tuple[str, Any]]) -> Boundary:
    """The front's largest modules answer for what is in them.

    Those that run more than once (a shared activation) go on running, on one picture.
    """
    order = [called for called, _ in calls]
    often = Counter(order)
    once = {called: out for called, out in calls[: order.index(name) + 1] if often[called] == 1}
    answers = {called: out for called, out in once.items() if called != name and not _inside(called, once)}
    return Boundary(name, picture, answers, once[name])


def _inside(name: str, modules: Container[str]) -> bool:
    """The module is part of one of those, at any depth."""
    parts = name.split(".")
    return any(".".join(parts[:depth]) in modules for depth in range(1, len(parts)))


def _calls(net: nn.Module, picture: Tensor) -> list[tuple[str, Any]]:
    """Names and outputs of the net's modules in the order in which they finish."""
    calls: list[tuple[str, Any]] = []

    def note(name: str) -> Callable[[nn.Module, object, Any], None]:
        def hook(_module: nn.Module, _inputs: object, output: Any) -> None:
            # A copy: what comes next may work in place.
            calls.append((name, output.clone() if isinstance(output, Tensor) else output))

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in net.named_modules() if name]
    try:
        with torch.no_grad():
            net(picture)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _is_still(net: nn.Module, front: Sequence[str], still: Sequence[str]) -> bool:
    """Nothing in these modules learns, and what has tensors runs in inference mode."""
    quiet = set(still)
    for root in (name for name in front if name != "front"):  # what stands before the trunk has nothing that moves
        for inner, module in net.get_submodule(root).named_modules():
            own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
            moves = bool(own) and f"{root}.{inner}".rstrip(".") not in quiet
            if moves or any(tensor.requires_grad for tensor in own) or "forward" in vars(module):
                return False
    return True


def _drawn(net: nn.Module, name: str, pixels: Tensor) -> tuple[bool, Tensor]:
    """Whether anything was drawn by chance on the way to the boundary, and what came out there."""
    device = pixels.device
    state = torch.get_rng_state if device.type == "cpu" else torch.get_device_module(device).get_rng_state
    with torch.random.fork_rng():
        before = state()
        out = until(net, name, pixels)
        return not torch.equal(before, state()), out


def _under_head(net: nn.Module, run: nn.Module, given: Tensor) -> Tensor | None:
    """What the head gets (its own output says nothing: a new head is zero); None where the run fails."""
    got: list[Tensor] = []
    handle = net.get_submodule("head").register_forward_pre_hook(lambda _, inputs: got.append(inputs[0]))
    try:
        with torch.no_grad(), suppress(RuntimeError, ValueError, TypeError, IndexError, AssertionError):
            run(given)
            return got[0]
    finally:
        handle.remove()
    return None


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= _CLOSE * b.abs().max())


@contextmanager
def _answering(net: nn.Module, answers: Mapping[str, Any]) -> Generator[None]:
    """These modules answer, whatever they are asked."""
    modules = [net.get_submodule(name) for name in answers]
    for module, answer in zip(modules, answers.values(), strict=True):
        module.forward = partial(_answer, answer)
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def _answer(answer: Any, *_inputs: object, **_options: object) -> Any:
    return answer
