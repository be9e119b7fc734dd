"""Unfinished training on disk: tensors as safetensors, the rest as JSON. Killed at any moment, the last epoch stands.

`checkpoint.json` is written last and names the tensor files that belong to it; files it does not name are leftovers.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headstart.training.co_tune import NAME

_INDEX = "checkpoint.json"
_OPTIMISER = "optimiser:"
_BESIDE = (_OPTIMISER, f"{NAME}.")  # what only a phase under way needs


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was found.

    Args:
        history: one JSON object an epoch.
        last: tensors after the last epoch: of the net by name, of the optimiser as `optimiser:INDEX:NAME`.
        best: the same after the best epoch, or None when the last is the best.
    """

    history: list[dict[str, Any]]
    last: dict[str, Tensor]
    best: dict[str, Tensor] | None


class Checkpoints:
    """The checkpoints of one phase in one folder.

    Args:
        folder: made when it does not exist; nothing else may lie in it.
        identity: hash of all that determines the training. A checkpoint of other work is ignored and overwritten.
        keep: earlier epochs stay, without the optimiser's state: a later run may start from them.
    """

    def __init__(self, folder: Path, identity: str, *, keep: bool = False) -> None:
        self.folder, self.identity, self.keep = folder, identity, keep
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> Saved | None:
        """The last complete checkpoint of this work, or None."""
        index = self._index()
        if index is None:
            return None
        try:
            last = load_file(self.folder / index["last"])
            best = None if index["best"] == index["last"] else load_file(self.folder / index["best"])
        except FileNotFoundError:
            return None
        return Saved(index["history"], last, best)

    def save(
        self,
        tensors: Mapping[str, Tensor],
        history: Sequence[Mapping[str, Any]],
        best_epoch: int,
        best_tensors: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Keep the state after the last epoch of the history, and that after the best one, an earlier one or this one.

        Args:
            tensors: of the net and the optimiser.
            history: one entry an epoch.
            best_epoch: from 1.
            best_tensors: of the net then; not needed where that is the last epoch, or one that was saved.
        """
        if self._index() is None:  # what lies here is of other work, or half of this
            for path in self.folder.glob("epoch-*"):
                path.unlink(missing_ok=True)
        last, best = (f"epoch-{epoch:04d}.safetensors" for epoch in (len(history), best_epoch))
        self._write(last, tensors)
        if best_tensors is not None and not (self.folder / best).exists():
            self._write(best, best_tensors)
        index = {"identity": self.identity, "last": last, "best": best, "history": list(history)}
        aside = self.folder / f"{_INDEX}.part"
        aside.write_text(json.dumps(index), encoding="utf-8")
        _settle(aside, self.folder / _INDEX)
        for path in self.folder.glob("epoch-*"):
            if path.name in (last, best):
                continue
            if self.keep and len(history) > 1 and path.suffix == ".safetensors":
                strip(path)
            else:  # of other work, of an epoch that nobody needs, or half written
                path.unlink(missing_ok=True)

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        aside = self.folder / f"{name}.part"
        save_file(plain, aside)
        _settle(aside, self.folder / name)

    def _index(self) -> dict[str, Any] | None:
        try:
            index = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return index if isinstance(index, dict) and index.get("identity") == self.identity else None


def strip(path: Path, to: Path | None = None) -> None:
    """Leave the net's tensors of a checkpoint alone in it, or write them elsewhere."""
    tensors = load_file(path)
    net = {name: tensor for name, tensor in tensors.items() if not name.startswith(_BESIDE)}
    if to is None and len(net) == len(tensors):
        return
    target = to or path
    aside = target.with_name(f"{target.name}.part")
    save_file(net, aside)
    _settle(aside, target)


def _settle(aside: Path, path: Path) -> None:
    """Make the bytes durable, then give them their name."""
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state, flat."""
    state = optimiser.state_dict()["state"]
    return {
        f"{_OPTIMISER}{at}:{name}": value
        for at, entry in state.items()
        for name, value in entry.items()
        if isinstance(value, Tensor)
    }


def restore(tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> None:
    """Copy saved tensors of the net over the targets, which keep their memory format."""
    with torch.no_grad():
        for name, target in targets.items():
            target.copy_(tensors[name])


def restore_optimiser(tensors: Mapping[str, Tensor], optimiser: torch.optim.Optimizer) -> None:
    """Put saved state back into an optimiser that was built the same way."""
    members = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for key, value in tensors.items():
        if key.startswith(_OPTIMISER):
            at, name = key.removeprefix(_OPTIMISER).split(":")
            parameter = members[int(at)]
            if value.shape == parameter.shape:
                # In the parameter's memory format: another order of elements could round differently in the next step.
                value = torch.empty_like(parameter).copy_(value)
            elif optimiser.defaults.get("fused"):  # counts its steps where the parameters lie
                value = value.to(parameter.device)
            optimiser.state[parameter][name] = value
