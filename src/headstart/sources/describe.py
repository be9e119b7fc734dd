"""A net -> its card. The anatomy is found by a dry run; only what no net can say of itself is handed in."""

from collections.abc import Sequence

from torch import nn

from headstart.sources.anatomy import classifier_name, norm_names, stages
from headstart.sources.card import Architecture, Card, ImageInput, Licence, TrainedOn


def describe(
    model: nn.Module,
    *,
    name: str,
    architecture: Architecture,
    taken: ImageInput,
    licence: Licence,
    trained_on: TrainedOn | None,
    head_classes: Sequence[str] = (),
    sha256: str | None = None,
    benchmark: float | None = None,
    changes: Sequence[str] = (),
) -> Card:
    """The card of a net that keeps timm's contract (`get_classifier`, `reset_classifier`, `group_matcher`).

    Args:
        model: with its own classifier, or without one.
        name: provider:name.
        architecture: how the empty net is built.
        taken: the preprocessing that its weights were trained with.
        licence: of the weights.
        trained_on: the source task; None when nothing is known, or nothing was learned.
        head_classes: names of the classes of its own linear classifier.
        sha256: of the weight file.
        benchmark: published score on the source task.
        changes: what surgery did to it.
    """
    return Card(
        name=name,
        architecture=architecture,
        input=taken,
        stages=stages(model, taken),
        head=classifier_name(model),
        head_classes=tuple(head_classes),
        norms=norm_names(model),
        changes=tuple(changes),
        sha256=sha256,
        licence=licence,
        trained_on=trained_on,
        benchmark=benchmark,
        parameters=sum(p.numel() for p in model.parameters()),
    )
