"""Every strategy on real weights and real pictures: it learns, says what it did, and leaves alone what it froze."""

from itertools import product

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from headstart.api import read
from headstart.core.errors import UserError
from headstart.core.plan import Plan, Train
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.features.extract import extract
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import STRATEGIES, plan
from headstart.training.plan_learner import FittedNet, PlanLearner

pytestmark = pytest.mark.slow
SOURCE = "wheel:efficientnet-lite0+size:64"
PHOTOS = {"palace": "china.jpg", "daisy": "flower.jpg"}  # named as the source names them, for zero-shot
TILE = 106  # pixels: 24 tiles of each photo
CLEARLY = 0.75  # of 24 tiles 18: by chance, one time in ninety

EVERY, NONE = slice(None), slice(0)
MAY_MOVE = {  # of the stages, input to output; a strategy that is not here may move none
    "lp-ft": slice(2, None),
    "finetune": EVERY,
    "partial": slice(-2, None),
    "gradual": EVERY,
    "first-block": slice(2),
    "norm-only": EVERY,
    "l2-sp": EVERY,
    "lora": EVERY,
    "co-tuning": EVERY,
    "contrastive": EVERY,
}
KINDS = {  # and of those only such parameters, by name, whether of a norm, and shape
    "norm-only": lambda leaf, norm, shape: norm,
    "lora": lambda leaf, norm, shape: leaf == "weight" and not norm and (len(shape) < 4 or shape[1] > 1),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Tiles of two photos, as on a chessboard: black ones to learn from, white ones held out."""
    folder = tmp_path_factory.mktemp("tiles")
    for name, file in PHOTOS.items():
        photo = load_sample_image(file)
        high, wide, _ = photo.shape
        for row, column in product(range(high // TILE), range(wide // TILE)):
            place = folder / ("test" if (row + column) % 2 else "train") / name
            place.mkdir(parents=True, exist_ok=True)
            tile = photo[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            Image.fromarray(tile).save(place / f"{row}-{column}.png")
    return read(folder)


@pytest.fixture(scope="module")
def source() -> Source:
    try:
        return load(SOURCE)
    except UserError as error:
        pytest.skip(f"its weights cannot be had here: {error}")


@pytest.fixture(scope="module")
def earlier(source: Source) -> Source:
    """A second source, for the strategy that takes several."""
    return source.cut_at("-4")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Features and pixels, once for all strategies."""
    return Store(tmp_path_factory.mktemp("store"))


def bits(tensors: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().contiguous().numpy().tobytes() for name, tensor in tensors.items()}


def may_move(name: str, source: Source) -> set[str]:
    """Names of the trunk's parameters that a strategy is there to change."""
    norms, kind = set(source.card.norms), KINDS.get(name, lambda leaf, norm, shape: True)
    inside = [p for stage in source.card.stages[MAY_MOVE.get(name, NONE)] for p in stage.parameters]
    split = ((p, *p.rpartition(".")[::2]) for p in inside)
    return {p for p, owner, leaf in split if kind(leaf, owner in norms, source.model.get_parameter(p).shape)}


def test_the_table_names_only_strategies_that_train() -> None:
    assert set(MAY_MOVE) <= {name for name in STRATEGIES.names() if not plan(name).closed_form}


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_a_strategy_learns_from_real_pictures_and_leaves_alone_what_it_froze(
    name: str, source: Source, earlier: Source, pictures: Dataset, store: Store
) -> None:
    train, test = (pictures.take(np.flatnonzero(np.array(pictures.parts) == part)) for part in ("train", "test"))
    sources = {one.name: one for one in ((source, earlier) if name == "experts" else (source,))}
    before, start = source.identity, bits(source.net(2).trunk.state_dict())
    features = extract((source, earlier), pictures, store, Silent())
    fitted = PlanLearner(name, "transfer", plan(name), sources, store, epochs=4).fit(train, seed=0, features=features)

    found = fitted.predict(test, features).probabilities
    assert float((found.argmax(axis=1) == test.targets).mean()) >= CLEARLY

    resolved = fitted.resolved
    assert Plan.from_json(resolved.to_json()) == resolved
    assert not any(isinstance(p, Train) and None in (p.epochs, p.lr) for p in resolved.phases)

    assert source.identity == before, "a source never changes"
    if isinstance(fitted, FittedNet):
        after = bits(fitted.net.trunk.state_dict())
        assert after.keys() == start.keys()
        moved = {key for key in start if start[key] != after[key]}
        parameters = {key for key, _ in fitted.net.trunk.named_parameters()}
        assert moved & parameters <= may_move(name, source)
        assert bool(moved & parameters) == (name in MAY_MOVE), "what may learn does"
        follows = any(isinstance(p, Train) and p.norm == "train" for p in resolved.phases)
        assert bool(moved - parameters) == follows, "statistics move only where the batch's are used"
