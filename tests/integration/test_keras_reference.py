"""Keras itself is the reference: nets of random weights and statistics, saved by Keras, read by us, give its outputs.

Skips without the package keras, which headstart never needs.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.sources.access import Access
from headstart.sources.formats.hdf5 import read
from headstart.sources.mappings.keras_nets import NETS
from headstart.sources.providers.keras import filled, load

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # its warnings are not ours
TOLERANCE = 1e-4  # of the largest output; single precision on both sides
NAMES = {  # ours -> Keras' name, its module, what it is built with
    "vgg16": ("VGG16", "vgg16", {}),
    "vgg19": ("VGG19", "vgg19", {}),
    "xception": ("Xception", "xception", {}),
    "resnet50": ("ResNet50", "resnet", {}),
    "resnet101": ("ResNet101", "resnet", {}),
    "densenet121": ("DenseNet121", "densenet", {}),
    "densenet169": ("DenseNet169", "densenet", {}),
    "mobilenetv2": ("MobileNetV2", "mobilenet_v2", {}),
    "mobilenetv2_035": ("MobileNetV2", "mobilenet_v2", {"alpha": 0.35}),
    "mobilenetv2_140": ("MobileNetV2", "mobilenet_v2", {"alpha": 1.4}),
    "efficientnetb0": ("EfficientNetB0", "efficientnet", {}),
    "efficientnetb1": ("EfficientNetB1", "efficientnet", {}),
}
SIDES = {"vgg16": (64,), "vgg19": (64,), "xception": (96, 107), "mobilenetv2": (96, 107), "efficientnetb0": (96, 107)}


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    """Keras on torch."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("KERAS_BACKEND", "torch")
        yield pytest.importorskip("keras")


def pictures(side: int) -> np.ndarray:
    """(4, side, side, 3) of 0..255 that differ in more than their noise."""
    rng = np.random.default_rng(1)
    coarse = torch.from_numpy(rng.uniform(0, 255, (4, 3, 6, 6)))
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear").permute(0, 2, 3, 1).numpy()
    return np.clip(smooth + rng.normal(0, 20, smooth.shape), 0, 255).astype(np.float32)


def built(keras: Any, name: str, side: int | None) -> Any:
    """A net of Keras with random weights; without a side it has its classifier of 1000."""
    called, _, options = NAMES[name]
    shape = {"include_top": False, "input_shape": (side, side, 3), "pooling": "avg"}
    top = {"classifier_activation": None} if side is None else shape
    return getattr(keras.applications, called)(weights=None, **top, **options)


def prepared(keras: Any, name: str, pixels: np.ndarray) -> np.ndarray:
    """What Keras' own preprocessing makes of pictures."""
    found = getattr(keras.applications, NAMES[name][1]).preprocess_input(pixels.copy())
    return np.ascontiguousarray(found)


def randomise(keras: Any, model: Any, batch: np.ndarray) -> None:
    """He kernels, random biases, gains and shifts; the statistics of a batch, moved at random: features that vary."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(drawn(rng, layer, weight))
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    with torch.no_grad():
        model(batch, training=True)
    for layer in norms:
        mean, variance = (keras.ops.convert_to_numpy(w) for w in (layer.moving_mean, layer.moving_variance))
        layer.moving_mean.assign(mean + np.sqrt(variance) * rng.normal(0, 0.1, mean.shape))
        layer.moving_variance.assign(variance * rng.uniform(0.9, 1.3, mean.shape))


def drawn(rng: np.random.Generator, layer: Any, weight: Any) -> np.ndarray:
    """Values for one weight, by its kind."""
    shape = tuple(weight.shape)
    deep = "depthwise" in weight.name or type(layer).__name__ == "DepthwiseConv2D"
    fan_in = np.prod(shape[:2] if deep else shape[:-1]) if shape else 1
    kinds: dict[str, Callable[[], np.ndarray]] = {
        "bias": lambda: rng.normal(0, 0.1, shape),
        "beta": lambda: rng.normal(0, 0.2, shape),
        "gamma": lambda: rng.uniform(0.7, 1.3, shape),
        "mean": lambda: rng.uniform(0.4, 0.6, shape),
        "variance": lambda: rng.uniform(0.04, 0.08, shape),
        "moving_mean": lambda: np.zeros(shape),
        "moving_variance": lambda: np.ones(shape),
        "count": lambda: np.zeros(shape, dtype=np.int32),
        "seed_generator_state": lambda: np.zeros(shape, dtype=np.uint32),
    }
    return kinds.get(weight.name, lambda: rng.normal(0, np.sqrt(2 / fan_in), shape))()


def outputs(name: str, path: Path, pixels: np.ndarray) -> np.ndarray:
    """What our net with the weights of a file says of pictures, through the preprocessing of its card."""
    names = read(path)
    _, model = filled(name, names)
    taken = NETS[name].family.pixels(names)
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    planes = planes.flip(1) if taken.colour == "BGR" else planes
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (taken.mean, taken.std))
    with torch.inference_mode():
        return model((planes - mean) / std).numpy()


def check(found: np.ndarray, wanted: np.ndarray) -> None:
    scale = np.abs(wanted).max()
    assert (wanted.std(axis=0) / scale).max() > 0.01, "outputs that hardly vary would prove nothing"
    assert np.abs(found - wanted).max() / scale <= TOLERANCE


@pytest.mark.parametrize(("name", "side"), [(name, side) for name in NAMES for side in SIDES.get(name, (96,))])
def test_the_trunk_gives_what_keras_gives(keras: Any, name: str, side: int, tmp_path: Path) -> None:
    """Even sides and odd ones: padding differs."""
    model, pixels = built(keras, name, side), pictures(side)
    batch = prepared(keras, name, pixels)
    randomise(keras, model, batch)
    with torch.inference_mode():
        wanted = model(batch, training=False).cpu().numpy()
    for ending in (".h5", ".keras", ".weights.h5"):
        path = tmp_path / f"net{ending}"
        (model.save_weights if ending == ".weights.h5" else model.save)(path)
        check(outputs(name, path, pixels), wanted)


@pytest.mark.parametrize("name", ["xception", "resnet50", "densenet121", "mobilenetv2", "efficientnetb0"])
def test_the_classifier_gives_what_keras_gives(keras: Any, name: str, tmp_path: Path) -> None:
    model, pixels = built(keras, name, None), pictures(NETS[name].size)[:2]
    batch = prepared(keras, name, pixels)
    randomise(keras, model, batch)
    with torch.inference_mode():
        wanted = model(batch, training=False).cpu().numpy()
    model.save(tmp_path / "net.keras")
    check(outputs(name, tmp_path / "net.keras", pixels), wanted)


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize("name", ["xception", "mobilenetv2"])
def test_a_trunk_inside_another_model(keras: Any, name: str, ending: str, tmp_path: Path) -> None:
    """As tutorials have it: the trunk, pooling, dropout, dense layers of its own."""
    trunk, pixels = built(keras, name, 96), pictures(96)
    batch = prepared(keras, name, pixels)
    randomise(keras, trunk, batch)
    layers = keras.layers
    keras.utils.clear_session()  # numbers of layers begin anew
    model = keras.Sequential([layers.Input((96, 96, 3)), trunk, layers.Dense(8), layers.Dropout(0.5), layers.Dense(3)])
    model.compile("adam", "mse")
    model.save(tmp_path / f"net{ending}")
    with torch.inference_mode():
        wanted = trunk(batch, training=False).cpu().numpy()
    check(outputs(name, tmp_path / f"net{ending}", pixels), wanted)
    assert load(f"{name}@{tmp_path / f'net{ending}'}", Access(trust=True)).card.changes == (
        "Dense layers of the file's own (dense, dense_1) were left out.",
    )
