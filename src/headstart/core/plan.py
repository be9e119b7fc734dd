"""A strategy is data: a `Plan` says where learning starts and through which phases it goes.

Plans are values. They print, compare, and round-trip through JSON; the record of a run keeps the *resolved* plan, in
which every choice left open ("measure it") has become a number.
"""

from dataclasses import fields, replace
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from headstart.core.shown import Shown

_STRICT = ConfigDict(extra="forbid")

Norm = Literal["inference", "adapt", "train"]


@dataclass(frozen=True, config=_STRICT)
class Rule:
    """How one set of parameters is trained; in a list of rules the first that matches a parameter wins.

    Args:
        where: "head", "stage:NAME", "stage:-1", "stage:..2" (up to and including), "norm", "extra:lora" (what
            `Train.rank` adds), "param:GLOB" or "*".
        rate: learning rate relative to `Train.lr`; None freezes: no gradient, and the module in eval mode, so that
            neither norm statistics nor dropout move. 0 is refused: it would be a frozen layer that still moves.
    """

    where: str
    rate: float | None

    def __post_init__(self) -> None:
        if self.rate is not None and not self.rate > 0:
            raise ValueError(f"the rate of rule {self.where!r} must be positive, got {self.rate}; None freezes")


@dataclass(frozen=True, config=_STRICT)
class Solve:
    """A closed-form phase on cached features: exact leave-one-out, no gradient.

    Args:
        estimator: a name of `headstart.linear.catalog` ("ridge", "kernel-ridge", "prototype", "majority", "tf-idf",
            "minirocket", "dtw"), or
            "own-head".
        stages: stage names or aliases; ("*",) is every stage, ("..-2",) every stage but the last.
        select: "best" takes the one (source, stage) with the least leave-one-out error, "concat" all stages of the
            best source together, "experts" the best stages of as many sources as leave-one-out wants together.
        penalty: a fixed ridge penalty; None chooses by exact leave-one-out.
    """

    estimator: str
    stages: tuple[str, ...] = ("last",)
    select: Literal["best", "concat", "experts"] = "best"
    penalty: float | None = None
    phase: Literal["solve"] = "solve"


@dataclass(frozen=True, config=_STRICT)
class Train:
    """A phase of gradient descent.

    Args:
        rules: ordered; first match wins; a parameter that no rule matches is an error.
        epochs: passes over the training data; None is chosen on an inner split, then fixed.
        lr: the rate that `Rule.rate` multiplies; None is chosen on an inner split, then fixed.
        schedule: "one-cycle" (warm up over `warmup` of the steps, cosine to zero) or "constant".
        optimiser: "adamw" or "sgd" (momentum 0.9).
        decay: decoupled weight decay, on weights of two and more dimensions.
        norm: batch-norm layers of trained parts: "inference" keeps the source's statistics, "adapt" puts those of
            the training examples in their place before the first step (AdaBN, arXiv 1603.04779) and keeps them, "train"
            uses the batch's and moves the running ones; None is chosen on an inner split, then fixed.
        augment: apply the modality's augmentation to training batches.
        views: how many fixed augmented views of each example there are beside the clean one; epoch e, from 0, shows
            view e mod (views + 1), the clean one first. What a frozen front puts out is then computed once a view.
            0 draws anew in each step.
        batch: examples in a step.
        warmup: share of the steps spent warming up.
        patience: with a validation part, stop after that many epochs without improvement; None is three, or a fifth of
            all where they are many.
        hold: for sources that keep old classes: how many pictures of each are dreamed from the weights and learned
            beside the new ones, features being held near what they were; 0 holds nothing.
        pull: strength a of the penalty a/2 ||w - w0||^2 on the trunk's trained weights, w0 being where the phase found
            them (L2-SP, Li et al. 2018, arXiv 1802.01483). It takes the place of their decay; the head is decayed as
            ever. 0 pulls nothing.
        rank: of matrices that are added to the weights of the trunk's linear layers and convolutions, learn under the
            rule "extra:lora", and are added up with the weights at the end (LoRA, Hu et al. 2022, arXiv 2106.09685).
            0 adds none.
        co_tune: weight of the cross-entropy of the source's own classifier, which goes on learning beside the head,
            against what the source took each class for at first (Co-Tuning, You et al. 2020). 0 leaves it out.
        pairs: learn from pairs of examples in place of the cross-entropy: see `headstart.training.pairs`. The head does
            not learn; a `Solve` behind the phase solves it.
    """

    rules: tuple[Rule, ...]
    epochs: int | None = None
    lr: float | None = None
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    optimiser: Literal["adamw", "sgd"] = "adamw"
    decay: float = 0.01
    norm: Norm | None = "inference"
    augment: bool = True
    views: int = Field(default=0, ge=0)
    batch: int = 32
    warmup: float = 0.2
    patience: int | None = Field(default=None, gt=0)
    hold: int = Field(default=0, ge=0)
    pull: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    rank: int = Field(default=0, ge=0)
    co_tune: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    pairs: bool = False
    phase: Literal["train"] = "train"


Phase = Annotated[Solve | Train, Field(discriminator="phase")]


@dataclass(frozen=True, config=_STRICT)
class Plan:
    """A strategy: where it starts and what it does, in order.

    Args:
        name: canonical strategy name, or the user's own.
        start: "weights" of the source, or "random": its architecture only.
        phases: `Solve` and `Train` phases; a `Solve` before a `Train` initialises the head (LP-FT), one
            behind it solves the head on what the features have become.
        hidden: widths of the head's hidden layers; none leaves the head to the source, where it is linear unless
            `with_head` asked for another.
    """

    name: str
    start: Literal["weights", "random"] = "weights"
    phases: tuple[Phase, ...] = ()
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = ()

    @property
    def closed_form(self) -> bool:
        """No gradients are needed: every phase is a `Solve`."""
        return all(isinstance(phase, Solve) for phase in self.phases)

    @property
    def solves_last(self) -> bool:
        """The head is solved when the net has learned."""
        return not self.closed_form and isinstance(self.phases[-1], Solve)

    @property
    def open(self) -> bool:
        """Something is left to be measured before it can train."""
        return any(None in (p.epochs, p.lr, p.norm) for p in self.phases if isinstance(p, Train))

    @property
    def co_tunes(self) -> bool:
        """The source's own classifier is needed: a phase lets it learn beside the head."""
        return any(isinstance(phase, Train) and phase.co_tune for phase in self.phases)

    @property
    def needs_classes(self) -> bool:
        """It makes sense only where each example has one class: by class means, class names, or pairs of a class."""
        return any(
            phase.estimator in ("prototype", "own-head") if isinstance(phase, Solve) else phase.co_tune or phase.pairs
            for phase in self.phases
        )

    def resolve(self, *, epochs: int, lr: float, norm: Norm = "inference") -> "Plan":
        """The same plan with the choices that were measured filled in; what was fixed stays."""
        phases = tuple(
            replace(p, epochs=p.epochs or epochs, lr=p.lr or lr, norm=p.norm or norm) if isinstance(p, Train) else p
            for p in self.phases
        )
        return replace(self, phases=phases)

    def to_json(self) -> str:
        """One line of JSON; `from_json` gives an equal plan back."""
        return _PLAN.dump_json(self).decode()

    def shown(self) -> Shown:
        """What is fixed and what is left to be measured, phase by phase."""
        start = "the source's weights" if self.start == "weights" else "random weights"
        rows = [("hidden layers of the head", ", ".join(map(str, self.hidden)))] if self.hidden else []
        for at, phase in enumerate(self.phases, 1):
            facts = {f.name: getattr(phase, f.name) for f in fields(phase) if f.name not in ("phase", "rules")}
            rows.append((f"{at}. {phase.phase}", ", ".join(f"{name} {_said(value)}" for name, value in facts.items())))
            rules = phase.rules if isinstance(phase, Train) else ()
            rows += [(f"   {one.where}", "frozen" if one.rate is None else f"rate {one.rate:g}") for one in rules]
        return Shown(f"{self.name}, from {start}", tuple(rows))

    def __str__(self) -> str:
        return str(self.shown())

    def _repr_html_(self) -> str:
        return self.shown().html()

    @staticmethod
    def from_json(text: str) -> "Plan":
        """Read what `to_json` wrote; unknown keys are refused."""
        return _PLAN.validate_json(text)


def _said(value: object) -> str:
    """A value of a phase; None is a choice that is left open."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "open" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


_PLAN = TypeAdapter(Plan)
