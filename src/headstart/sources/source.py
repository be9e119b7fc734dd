"""A source is a net plus a card, and never changes: fitting works on the fresh copies that `net` hands out."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.predictions import Floats, Targets
from headstart.core.problem import Task
from headstart.sources import surgery
from headstart.sources.card import Card, Head, Input, Pooling
from headstart.sources.staged import StagedNet

CODE = "stages-5"  # part of every feature's key: change it when the same card would give other features


@dataclass(frozen=True)
class Brought:
    """Examples that a source was trained on, where they come with it.

    Attributes:
        features: (m, D) of its first stage.
        targets: of its own task.
        task: what that is.
        keys: content keys of all examples that it was trained on.
        repeats: share of these that are equal to another one: where nearly none is, a shared example is no chance.
    """

    features: Floats
    targets: Targets
    task: Task
    keys: frozenset[str] = frozenset()
    repeats: float = 0.0


@dataclass(frozen=True)
class Source:
    """A net, pre-trained or untrained, with its card.

    Args:
        card: what is known of it.
        model: the full net with its own classifier, in eval mode; never handed out, only copied.
        brought: examples that it was trained on; surgery leaves them behind.
    """

    card: Card
    model: nn.Module
    brought: Brought | None = None

    @property
    def name(self) -> str:
        """provider:name."""
        return self.card.name

    @property
    def input(self) -> Input:
        """Its preprocessing."""
        return self.card.input

    @property
    def widths(self) -> dict[str, int]:
        """Features of each stage, input to output."""
        return {stage.name: stage.dim for stage in self.card.stages}

    @property
    def identity(self) -> str:
        """sha256 of all that determines its features: weights, architecture, preprocessing, taps, this code."""
        digest = hashlib.sha256(CODE.encode())
        digest.update(self.card.architecture.model_dump_json().encode())
        digest.update(self.card.input.model_dump_json().encode())
        digest.update(repr([(s.name, s.tap, s.dim, s.grid) for s in self.card.stages]).encode())
        digest.update((self.card.pooling or "").encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def net(self, outputs: int, seed: int = 0) -> StagedNet:
        """A fresh copy to train, with a new head of that many zero outputs; kept classes come first in it.

        Args:
            outputs: of the head.
            seed: of the hidden layers of the head, where it has some.

        Raises:
            UserError: `with_head` asked for another number of outputs, or for more old classes than that.
        """
        trunk = copy.deepcopy(self.model)
        if self.card.head:
            surgery.drop_classifier(trunk, self.card)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = StagedNet(trunk, self.card, outputs)
        if self.card.new_head.keep:
            surgery.keep_rows(net.head, *self._old_classes())
        return net

    def tapped(self) -> StagedNet:
        """A fresh copy to take features from, in eval mode, whatever head `with_head` has asked for."""
        return Source(self.card.model_copy(update={"new_head": Head()}), self.model).net(1).eval()

    def tapper(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """A function from (n, ...) prepared examples to pooled features of every stage, nothing in it learning."""
        net = self.tapped()

        def tap(pixels: Tensor) -> dict[str, Tensor]:
            with torch.inference_mode():
                return net.stages(pixels)

        return tap

    def own_head(self) -> tuple[Floats, Floats] | None:
        """(K, D) weight and (K,) bias of the source's own linear classifier; None when it has none with names."""
        head = self.model.get_submodule(self.card.head) if self.card.head else None
        if not isinstance(head, nn.Linear) or not self.card.head_classes:
            return None
        weight = head.weight.detach().double().numpy()
        without = cast("Tensor | None", head.bias) is None  # torch's annotation does not know of layers without
        return weight, np.zeros(len(weight)) if without else head.bias.detach().double().numpy()

    def with_head(self, *outputs: int, widths: Sequence[int] = (), keep: bool = False) -> "Source":
        """The source with another kind of head on its copies: linear, an MLP, several outputs, old classes kept.

        Args:
            outputs: numbers of classes, several for several tasks (their logits stand side by side); without any
                the head takes the task's number.
            widths: of hidden layers; none is a linear head.
            keep: the first outputs are the source's own classes, with the weights that they had; the strategy
                `headstart.strategies.inductive.extend` learns new ones beside them.

        Raises:
            UserError: `keep` on a source without a linear classifier whose classes have names, or with fewer outputs
                than old classes.
        """
        head = Head(outputs=tuple(outputs), widths=tuple(widths), keep=keep)
        if keep:
            surgery.check_keeps(self.card, len(self._old_classes()[0]), head)
        return Source(self.card.model_copy(update={"new_head": head}), self.model)

    def widen_input(self, count: int, how: surgery.Channels = "sum") -> "Source":
        """The source for pictures of `count` channels (1, 2, 4, 13, ...); see `surgery.widened`."""
        return Source(*surgery.widen_input(self.card, self.model, count, how))

    def at_size(self, size: int) -> "Source":
        """The source for (size, size) inputs."""
        return Source(*surgery.at_size(self.card, self.model, size))

    def pooled(self, how: Pooling) -> "Source":
        """The source with another way from maps and tokens to features, at every stage.

        Args:
            how: "avg", "max", "gem" or, for transformers, "cls"; see `headstart.sources.pooling`.

        Raises:
            UserError: no such way, or the net has no class token.
        """
        return Source(*surgery.pooled_as(self.card, self.model, how))

    def topped(self, net: str) -> "Source":
        """A table of word vectors with an untrained net on the words of a text, as one more stage behind the others.

        Args:
            net: "cnn" or "gru"; see `headstart.nets.word_tops`.

        Raises:
            UserError: no such net, or a source that is no bare table of word vectors.
        """
        return Source(*surgery.topped(self.card, self.model, net))

    def cut_at(self, stage: str) -> "Source":
        """The source up to and including a stage; what lies behind it is gone, its classifier too.

        Args:
            stage: a name or an alias: "first", "last", an index from the start ("2") or from the end ("-2").
        """
        return Source(*surgery.cut_at(self.card, self.model, stage))

    def reinitialised(self, stage: str = "first", seed: int = 0) -> "Source":
        """The source with its architecture's initial weights from a stage on; "first" is from scratch."""
        return Source(*surgery.reinitialised(self.card, self.model, stage, seed))

    def _old_classes(self) -> tuple[Floats, Floats]:
        own = self.own_head()
        if own is None:
            raise surgery.no_old_classes(self.card)
        return own
