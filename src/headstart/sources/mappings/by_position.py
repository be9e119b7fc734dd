"""Two nets that list the same tensors in the same order under other names."""

from collections.abc import Mapping

from torch import Tensor, nn

from headstart.core.errors import UserError


def by_position(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The n-th tensor of the file is the n-th of the net; numbers and shapes must agree.

    Raises:
        UserError: they do not.
    """
    state = model.state_dict()
    theirs, ours = [tuple(t.shape) for t in weights.values()], [tuple(t.shape) for t in state.values()]
    if theirs != ours:
        at = next(
            (i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), min(len(theirs), len(ours))
        )
        came = f"{len(theirs)} tensors, other than the net's {len(ours)} from number {at} on"
        raise UserError(
            f"a file that lists the tensors of {type(model).__name__}", came, "Take the file it was made for."
        )
    return dict(zip(state, weights.values(), strict=True))
