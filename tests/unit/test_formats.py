"""Readers of weight files: what is right is read exactly; for the rest see test_hostile_checkpoints."""

import hashlib
import io
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from headstart.core.errors import UserError
from headstart.sources.formats import archive, onnx, pickled, safetensors
from headstart.sources.formats.catalog import READERS, read
from headstart.sources.formats.checks import few, said, sha256, shown

ONE = torch.arange(6.0).view(2, 3)
TWO = torch.tensor([1, 2])


def saved(path: Path, value: object, *, legacy: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def same(found: Any, wanted: dict[str, Tensor]) -> bool:
    return list(found) == list(wanted) and all(
        torch.equal(torch.as_tensor(found[k]), v) and torch.as_tensor(found[k]).dtype == v.dtype
        for k, v in wanted.items()
    )


# torch


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files_are_read_exactly(legacy: bool, tmp_path: Path) -> None:
    wanted = {"b.weight": ONE, "a": TWO, "half": ONE.half(), "view": ONE.t()}
    assert same(pickled.read(saved(tmp_path / "w.pth", wanted, legacy=legacy)), wanted)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_net_s_own_state_dict_and_its_parameters(legacy: bool, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    path = saved(tmp_path / "w.pth", net.state_dict(), legacy=legacy)
    assert same(pickled.read(path), dict(net.state_dict()))
    path = saved(tmp_path / "p.pt", OrderedDict(net.named_parameters()), legacy=legacy)
    found = pickled.read(path)
    assert list(found) == [name for name, _ in net.named_parameters()]
    assert not any(tensor.requires_grad for tensor in found.values())


@pytest.mark.parametrize(
    "wrapped",
    [
        {"state_dict": {"a": ONE}, "epoch": 3, "best": 0.5, "note": "x"},
        {"model": {"a": ONE}, "optimizer": {"state": {0: {"m": TWO}}, "param_groups": [{"lr": 0.1}]}},
        {"model_state_dict": {"a": ONE}},
        {"netG_state_dict": {"a": ONE}, "netD_state_dict": {"b": TWO}},
        {"model": {"state_dict": {"a": ONE}}, "weights": {"b": TWO}},
    ],
)
def test_the_usual_containers_are_opened(wrapped: object, tmp_path: Path) -> None:
    assert same(pickled.read(saved(tmp_path / "w.ckpt", wrapped)), {"a": ONE})


def test_nested_names_are_joined_in_order(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {"z": {"y": {"w": ONE}, "x": TWO}, "a": ONE})
    assert same(pickled.read(path), {"z.y.w": ONE, "z.x": TWO, "a": ONE})


def test_tied_weights_are_read(tmp_path: Path) -> None:
    large = torch.zeros(10_000)
    assert len(pickled.read(saved(tmp_path / "w.pth", {"in": large, "out": large}))) == 2


def test_entries_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled, "MOST", 3)
    path = saved(tmp_path / "w.pth", {str(i): torch.zeros(1) for i in range(4)})
    with pytest.raises(UserError, match="expected at most 3 entries"):
        pickled.read(path)


@pytest.mark.parametrize("reader", [pickled.read, safetensors.read], ids=["torch", "safetensors"])
def test_the_first_tensor_that_is_not_finite_is_named(reader: Any, tmp_path: Path) -> None:
    spoilt = {"a": ONE, "b": ONE / 0, "c": ONE * torch.nan}
    path = tmp_path / "w.bin"
    (save_file if reader is safetensors.read else torch.save)(spoilt, path)
    with pytest.raises(UserError, match=r"w\.bin: b holds NaN or infinity"):
        reader(path)


@pytest.mark.parametrize("cut", [1, 5, 100, 500, 1000, 1500])
@pytest.mark.parametrize("legacy", [False, True])
def test_wherever_a_file_is_cut_it_is_one_clear_error(cut: int, legacy: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {"a": torch.ones(300), "b": TWO}, legacy=legacy)
    path.write_bytes(path.read_bytes()[:cut])
    with warnings.catch_warnings(), pytest.raises(UserError):
        pickled.read(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_flipped_bytes_give_a_user_error_or_tensors(legacy: bool, tmp_path: Path) -> None:
    whole = saved(tmp_path / "w.pth", {"a": torch.ones(30), "b": TWO}, legacy=legacy).read_bytes()
    chance = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        spoilt = bytearray(whole)
        for at in chance.integers(0, min(len(whole), 700), 3):
            spoilt[at] = chance.integers(256)
        path = tmp_path / "s.pth"
        path.write_bytes(spoilt)
        try:
            assert all(isinstance(tensor, Tensor) for tensor in pickled.read(path).values())
        except UserError:
            refused += 1
    assert refused > 30


# safetensors


def test_safetensors_are_read_exactly(tmp_path: Path) -> None:
    wanted = {"a": ONE, "b": TWO, "c": ONE.bfloat16()}
    save_file(wanted, tmp_path / "w.safetensors")
    assert same(dict(sorted(safetensors.read(tmp_path / "w.safetensors").items())), wanted)


def test_numbers_that_are_not_plain_are_refused(tmp_path: Path) -> None:
    save_file({"a": ONE.to(torch.float8_e4m3fn)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="a of type float8_e4m3fn"):
        safetensors.read(tmp_path / "w.safetensors")


# ONNX


def graph(path: Path, *arrays: Any, **more: Any) -> Path:
    made = pytest.importorskip("onnx")
    out = made.helper.make_tensor_value_info("y", made.TensorProto.FLOAT, [1])
    node = made.helper.make_node("Identity", ["x"], ["y"])
    inside = made.helper.make_tensor_value_info("x", made.TensorProto.FLOAT, [1])
    model = made.helper.make_model(made.helper.make_graph([node], "g", [inside], [out], list(arrays), **more))
    path.write_bytes(model.SerializeToString())
    return path


def initializer(name: str, array: np.ndarray) -> Any:
    return pytest.importorskip("onnx").numpy_helper.from_array(array, name)


def test_onnx_initializers_are_read_exactly(tmp_path: Path) -> None:
    arrays = {"a": ONE.numpy(), "b": TWO.numpy(), "h": ONE.half().numpy()}
    found = onnx.read(graph(tmp_path / "w.onnx", *(initializer(k, v) for k, v in arrays.items())))
    assert same(found, {k: torch.as_tensor(v) for k, v in arrays.items()})
    made = pytest.importorskip("onnx")
    brain = made.helper.make_tensor("bf", made.TensorProto.BFLOAT16, [2], [1.5, -2.0])
    found = onnx.read(graph(tmp_path / "b.onnx", brain))
    assert found["bf"].dtype == np.float32
    assert found["bf"].tolist() == [1.5, -2.0]


def test_onnx_weights_in_another_file_are_not_followed(tmp_path: Path) -> None:
    made = pytest.importorskip("onnx")
    (tmp_path / "secret").write_bytes(ONE.numpy().tobytes())
    tensor = initializer("a", ONE.numpy())
    made.external_data_helper.set_external_data(tensor, "secret", 0, 24)
    tensor.ClearField("raw_data")
    tensor.data_location = made.TensorProto.EXTERNAL
    with pytest.raises(UserError, match="a lies in another file"):
        onnx.read(graph(tmp_path / "w.onnx", tensor))


def test_onnx_that_is_damaged_or_lies(tmp_path: Path) -> None:
    made = pytest.importorskip("onnx")
    lying = initializer("a", ONE.numpy())
    lying.dims[0] = 1_000_000_000
    sparse = made.helper.make_sparse_tensor(initializer("s", ONE.numpy()[0]), initializer("i", np.arange(3)), [9])
    text = made.helper.make_tensor("t", made.TensorProto.STRING, [1], [b"x"])
    whole = graph(tmp_path / "w.onnx", initializer("a", ONE.numpy())).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    for path, says in {
        tmp_path / "cut.onnx": "damaged",
        graph(tmp_path / "1.onnx", lying): "a is damaged",
        graph(tmp_path / "2.onnx", sparse_initializer=[sparse]): "sparse initializers",
        graph(tmp_path / "3.onnx", text): "t of type",
        graph(tmp_path / "4.onnx", initializer("a", TWO.numpy()), initializer("a", TWO.numpy())): "a twice",
        graph(tmp_path / "5.onnx"): "at least one tensor",
        graph(tmp_path / "6.onnx", initializer("n", ONE.numpy() * np.nan)): "n holds NaN",
    }.items():
        with pytest.raises(UserError, match=says):
            onnx.read(path)


def test_onnx_without_the_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'headstart\[onnx\]'"):
        onnx.read(tmp_path / "w.onnx")


# archives


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_one_member_is_read_exactly_and_nothing_is_written(mode: str, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(100_000)
    path, name = tmp_path / "a", "p/q/w.pth"
    if mode == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("../outside", b"never")
            out.writestr(name, content)
    else:
        with tarfile.open(path, mode) as out:
            for called, data in (("../outside", b"never"), (name, content)):
                info = tarfile.TarInfo(called)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    before = sha256(path)
    assert archive.member(path, name, wanted=before.upper()) == content
    assert archive.member(path, name, wanted=before, largest=len(content)) == content
    with pytest.raises(UserError, match="at most 99,999 bytes"):
        archive.member(path, name, wanted=before, largest=len(content) - 1)
    assert [p.name for p in tmp_path.rglob("*")] == ["a"]
    assert not (tmp_path.parent / "outside").exists()


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("w", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            out.writestr("w", b"2")
    with pytest.raises(UserError, match="2 members of that name"):
        archive.member(tmp_path / "a.zip", "w", wanted=sha256(tmp_path / "a.zip"))


def test_an_archive_of_another_hash_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    monkeypatch.setattr(archive.zipfile, "is_zipfile", lambda _: pytest.fail("it was opened"))
    with pytest.raises(UserError, match=rf"a\.zip with sha256 {'0' * 64}"):
        archive.member(tmp_path / "a.zip", "w", wanted="0" * 64)
    for path, says in {tmp_path: "a folder", tmp_path / "no.zip": "nothing there"}.items():
        with pytest.raises(UserError, match=says):
            archive.member(path, "w", wanted="0" * 64)


# the table of endings


def test_every_ending_reads_its_format(tmp_path: Path) -> None:
    for ending in (".pt", ".pth", ".bin", ".ckpt", ".PTH"):
        assert same(read(saved(tmp_path / f"w{ending}", {"a": ONE})), {"a": ONE})
    save_file({"a": ONE}, tmp_path / "w.safetensors")
    assert same(read(tmp_path / "w.safetensors"), {"a": ONE})
    assert same(read(graph(tmp_path / "w.onnx", initializer("a", ONE.numpy()))), {"a": ONE})
    assert {".h5", ".keras"} <= set(READERS.names())
    with pytest.raises(UserError, match=r"which ends in nothing\nKnown endings: \.safetensors, \.pt"):
        read(tmp_path / "w")


def test_the_table_loads_no_framework() -> None:
    code = "import sys, headstart.sources.formats.catalog; print(*{'torch', 'onnx', 'h5py'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


# words


def test_names_and_words_out_of_files_are_shown_safely(tmp_path: Path) -> None:
    assert shown("\x1b[31mred") == r"'\x1b[31mred'"
    assert len(shown("\n" * 500)) == 80
    assert few(["b", "a"]) == "a, b"
    assert said(ValueError("\n\n one\x1b[0m \n two")) == "one?[0m"
    assert said(KeyError()) == "KeyError"
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
