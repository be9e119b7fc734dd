"""Checkpoints: complete or absent, no pickle, bit for bit."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headstart.training.checkpoint import Checkpoints, optimiser_tensors, restore_optimiser, strip


def tensors(value: float) -> dict[str, Tensor]:
    return {"w": torch.full((2, 3), value), "count": torch.tensor(int(value))}


def test_the_last_and_the_best_epoch_are_kept_and_no_other_file(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path / "new", "work")
    for epoch in range(1, 5):
        saves.save(tensors(epoch), [{"epoch": e} for e in range(1, epoch + 1)], best_epoch=min(epoch, 2))
    found = Checkpoints(tmp_path / "new", "work").load()
    assert found is not None
    assert found.best is not None
    assert [entry["epoch"] for entry in found.history] == [1, 2, 3, 4]
    assert torch.equal(found.last["w"], torch.full((2, 3), 4.0))
    assert torch.equal(found.best["w"], torch.full((2, 3), 2.0))
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["checkpoint.json", "epoch-0002.safetensors", "epoch-0004.safetensors"]


def test_nothing_there_and_other_work_are_both_no_checkpoint(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path, "work").load() is None
    Checkpoints(tmp_path, "work").save(tensors(1), [{"epoch": 1}], 1)
    assert Checkpoints(tmp_path, "other").load() is None
    assert Checkpoints(tmp_path, "work").load() is not None


def test_killed_while_writing_the_last_epoch_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saves = Checkpoints(tmp_path, "work")
    saves.save(tensors(1), [{"epoch": 1}], 1)
    monkeypatch.setattr(json, "dumps", _killed)
    with pytest.raises(KeyboardInterrupt):
        saves.save(tensors(2), [{"epoch": 1}, {"epoch": 2}], 2)
    monkeypatch.undo()
    found = saves.load()
    assert found is not None
    assert len(found.history) == 1
    assert torch.equal(found.last["w"], torch.full((2, 3), 1.0))


def _killed(*_: object, **__: object) -> str:
    raise KeyboardInterrupt


def test_what_only_training_needs_is_left_out_of_what_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "epoch-0001.safetensors"
    save_file({name: torch.ones(1) for name in ("trunk.w", "own.weight", "own.relation", "optimiser:0:step")}, file)
    strip(file, tmp_path / "kept")
    assert set(load_file(tmp_path / "kept")) == {"trunk.w"}
    strip(file)
    assert set(load_file(file)) == {"trunk.w"}


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_torn_index_is_no_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / "checkpoint.json").write_text(text)
    assert Checkpoints(tmp_path, "work").load() is None


def test_a_missing_tensor_file_is_no_checkpoint(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path, "work")
    saves.save(tensors(1), [{"epoch": 1}], 1)
    (tmp_path / "epoch-0001.safetensors").unlink()
    assert saves.load() is None


@pytest.mark.parametrize("make", [torch.optim.AdamW, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)])
def test_an_optimiser_goes_on_exactly_where_it_was(make: type[torch.optim.AdamW]) -> None:
    first = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimiser = make(first.parameters())
    grads = [[torch.randn_like(p) for p in first.parameters()] for _ in range(3)]
    step(first, optimiser, grads[0])
    kept = {name: value.clone().contiguous() for name, value in optimiser_tensors(optimiser).items()}
    second = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    second.load_state_dict(first.state_dict())
    for grad in grads[1:]:
        step(first, optimiser, grad)
    resumed = make(second.parameters())
    restore_optimiser(kept, resumed)
    for grad in grads[1:]:
        step(second, resumed, grad)
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), second.parameters(), strict=True))


def step(module: nn.Module, optimiser: torch.optim.Optimizer, grads: list[Tensor]) -> None:
    for parameter, grad in zip(module.parameters(), grads, strict=True):
        parameter.grad = grad
    optimiser.step()


def test_a_best_epoch_that_was_not_saved_when_it_came_is_saved_with_the_next(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "other").save(tensors(7), [{"epoch": 1}], 1)  # its epoch 1 is not ours
    saves = Checkpoints(tmp_path, "work")
    saves.save(tensors(3), [{"epoch": e} for e in (1, 2, 3)], 1, tensors(1))
    found = saves.load()
    assert found is not None
    assert found.best is not None
    assert torch.equal(found.best["w"], tensors(1)["w"])
    assert torch.equal(found.last["w"], tensors(3)["w"])
