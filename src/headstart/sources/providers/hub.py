"""`hub:ORG/NAME`, `hub:FOLDER`: encoders of transformers, from a model hub or a local folder.

Weights come from safetensors only, and no code comes with them. A checkpoint for classification keeps its classifier;
any other gives what its family calls its pooled output.
"""

import hashlib
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from huggingface_hub.repocard import metadata_load
from safetensors import SafetensorError
from torch import Tensor, nn

from headstart.core.errors import HeadstartError, UserError
from headstart.core.extras import require
from headstart.sources import json_file, trusted
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.backbone import Backbone
from headstart.sources.card import Architecture, TrainedOn
from headstart.sources.describe import describe
from headstart.sources.formats.checks import few, said, shown, sound
from headstart.sources.model_config import model_config, takes
from headstart.sources.preprocessor import preprocessing
from headstart.sources.providers import text
from headstart.sources.providers.timm import TRAINED_ON, hub_answers, licence
from headstart.sources.source import Source

ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
FILES = (
    "config.json", "preprocessor_config.json", "processor_config.json", "README.md", *text.FILES,
    "model.safetensors", "model-*.safetensors", "model.safetensors.index.json",
)  # fmt: skip
PICTURES, TEXTS = "pixel_values", "input_ids"  # what models call them
PICKLES = ("*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack")
ADAPTER = "adapter_config.json"
FIRST_TOKEN = ("deit", "vit", "vit_msn")  # their pooler was trained for another task, or never
SIDE = 224  # of the pixels for dry runs, where a model takes any
DATA = {data.name.lower(): data for _, data in TRAINED_ON}  # as model cards call them


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A pre-trained encoder of pictures or texts.

    Args:
        name: ORG/NAME on the hub, or a folder that `save_pretrained` wrote.
        access: whether the network may be asked, and a folder is trusted.

    Raises:
        UserError: nothing there, not reached, or a folder that nobody has vouched for;
            pickled weights, remote code, no encoder of pictures or texts, no preprocessing or tokenizer.
    """
    require("transformers", "hub")
    folder = _folder(name, access.offline)
    written = _config_file(folder).read_text(encoding="utf-8", errors="replace")
    config = _config(written)
    files = _weights(folder)
    file_hash = _sha256(files)
    if Path(name).expanduser().is_dir():  # what the hub serves it names by its hash
        trusted.check(folder, file_hash, trust=access.trust)
    if takes(config) == TEXTS:
        return _text_encoder(name, folder, written, config, file_hash)
    input_ = preprocessing(folder)
    model, changes = _loaded(folder, config)
    backbone = _backbone(model, config)
    stated, trained_on = _model_card(folder / "README.md")
    linear = isinstance(backbone.get_classifier(), nn.Linear)
    card = describe(
        backbone, name=f"hub:{_anchored(name)}", taken=input_,
        architecture=Architecture(name=str(config.model_type), builder="hub", text=written),
        licence=licence(stated), trained_on=trained_on,
        head_classes=_classes(config) if linear else (), sha256=file_hash, changes=changes,
    )  # fmt: skip
    return Source(card.model_copy(update={"stages": backbone.opened(card.stages)}), backbone)


def _text_encoder(name: str, folder: Path, written: str, config: Any, file_hash: str) -> Source:
    taken, pooling = text.preparation(folder, config)
    model, changes = _loaded(folder, config)
    encoder = text.encoder(model, taken.pad)
    stated, trained_on = _model_card(folder / "README.md")
    card = text.describe_text(
        encoder, name=f"hub:{_anchored(name)}", taken=taken, pooling=pooling,
        architecture=text.architecture(config, written, taken), licence=licence(stated), trained_on=trained_on,
        sha256=file_hash, changes=changes,
    )  # fmt: skip
    return Source(card, encoder)


def construct(architecture: Architecture) -> Backbone:
    """The empty net of a card, from the config.json in its text, in eval mode.

    Raises:
        UserError: transformers is not installed, or the text is not the config of a vision encoder.
    """
    config = _config(architecture.text)
    return _backbone(_auto(config).from_config(config), config)


class Encoder(nn.Module):
    """A model of transformers that takes a tensor and gives one.

    Args:
        model: takes `pixel_values`.
        pooled: from what it gives to (n, D) features or (n, classes) logits.
    """

    def __init__(self, model: nn.Module, pooled: Callable[[Any], Tensor | None]) -> None:
        super().__init__()
        self.model = model.float()
        self.pooled = pooled
        for module in model.modules():
            if "num_channels" in vars(module):
                module.register_forward_pre_hook(_any_channels)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, C, H, W) normalised pixels -> (n, D)."""
        found = self.pooled(self.model(pixel_values=pixels, return_dict=True))
        if found is None:
            came = f"{type(self.model).__name__}, which gives none"
            raise UserError("a vision encoder with a pooled output", came, "Choose another source.")
        return found


def _any_channels(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Some models compare the channels with their config; after surgery their convolution knows better."""
    if inputs and isinstance(inputs[0], Tensor):
        vars(module)["num_channels"] = inputs[0].shape[1]


def _logits(output: Any) -> Tensor:
    return output["logits"]


def _first_token(output: Any) -> Tensor:
    return output["last_hidden_state"][:, 0]


def _pooler(output: Any) -> Tensor | None:
    found: Tensor | None = output.get("pooler_output")
    return None if found is None else found.flatten(1)


def _transformers() -> ModuleType:
    return require("transformers", "hub")


def _config(text: str) -> Any:
    """The config of an encoder out of a config.json; the vision part where there are several.

    Raises:
        UserError: remote code, quantised weights, an unknown model, or one for other inputs than pictures and texts.
    """
    config = model_config(text, "hub")
    if not _classifies(config):
        config = getattr(config, "vision_config", None) or config
    if takes(config) not in (PICTURES, TEXTS):
        came = f"{config.model_type}, which takes {takes(config) or 'nothing that is known'}"
        raise UserError("an encoder of pictures or texts", came, "Choose another model.")
    return config


def _classifies(config: Any) -> bool:
    names = config.architectures or ()
    known = type(config) in _transformers().MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    return known and bool(names) and names[0].endswith("ForImageClassification")


def _auto(config: Any) -> Any:
    """The factory of the model."""
    transformers = _transformers()
    return transformers.AutoModelForImageClassification if _classifies(config) else transformers.AutoModel


def _backbone(model: Any, config: Any) -> Backbone:
    size = getattr(config, "image_size", None) or SIDE
    sides = (size, size) if isinstance(size, int) else size.values() if isinstance(size, dict) else size
    pixels = torch.zeros(1, getattr(config, "num_channels", 3), *sides)
    if _classifies(config):
        found = Backbone(Encoder(model, _logits), pixels, classes=int(config.num_labels))
        _check_one_classifier(found, pixels)
        return found
    if config.model_type not in FIRST_TOKEN:
        return Backbone(Encoder(model, _pooler), pixels)
    model.pooler = None
    return Backbone(Encoder(model, _first_token), pixels)


def _check_one_classifier(backbone: Backbone, pixels: Tensor) -> None:
    """What the classifier puts out must be what the model puts out: some models average two."""
    given: list[object] = []
    classifier = backbone.get_classifier()
    assert classifier is not None, "a backbone with classes has a classifier"
    handle = classifier.register_forward_hook(lambda _module, _inputs, output: given.append(output))
    with torch.inference_mode():
        logits = backbone(pixels)
    handle.remove()
    if given[-1] is not logits:
        came = f"{type(backbone.get_submodule('model')).__name__}, which joins several"
        raise UserError("a model with one classifier", came, "Choose another source.")


def _loaded(folder: Path, config: Any) -> tuple[Any, tuple[str, ...]]:
    """The model with all its weights, and what else was in the file."""
    try:
        with _quiet():
            model, info = _auto(config).from_pretrained(
                folder, config=config, use_safetensors=True, trust_remote_code=False, local_files_only=True,
                output_loading_info=True,
            )  # fmt: skip
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, ZeroDivisionError, SafetensorError) as error:
        raise UserError(f"the weights of {config.model_type}", f"{folder}: {said(error)}", "Download again.") from None
    missing = {key for key in info["missing_keys"] if not _unread(key, config)}
    if missing:
        came = f"{folder}: {len(missing)} missing ({few(missing)})"
        raise UserError(f"all the weights of {config.model_type}", came, "Choose a checkpoint of this architecture.")
    sound(folder, {key: tensor for key, tensor in model.state_dict().items() if not _unread(key, config)})
    left = {key.partition(".")[0] for key in info["unexpected_keys"]}
    if _unread("pooler.", config) and getattr(model, "pooler", None) and not info["missing_keys"]:
        left.add("pooler")
    return model, (f"in the file, left out: {', '.join(map(shown, sorted(left)))}",) if left else ()


def _unread(key: str, config: Any) -> bool:
    """Whether it belongs to a pooler that is left out."""
    return key.startswith("pooler.") and (config.model_type in FIRST_TOKEN or takes(config) == TEXTS)


@contextmanager
def _quiet() -> Generator[None]:
    """Without progress and reports: what matters of them becomes an error or stands in the card."""
    logging = _transformers().utils.logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _folder(name: str, offline: bool) -> Path:
    """The folder with the model, after a download if need be."""
    local = Path(name).expanduser()
    if name and local.is_dir():
        return local
    if ID.fullmatch(name) is None:
        raise UserError("hub:ORG/NAME or hub:FOLDER", f"hub:{name}, which is neither", "Check the name or the path.")
    cached = _snapshot(name, cached=True)
    if cached is not None and (cached / "config.json").is_file() and any(cached.glob("*.safetensors")):
        return cached
    if offline or not hub_answers():
        do = "Connect, give a local folder, or use a packaged source (headstart sources list)."
        raise UserError(f"the weights of hub:{name}", "no connection to the model hub", do)
    found = _snapshot(name, cached=False)
    assert found is not None, "a download that fails raises"
    return found


def _anchored(name: str) -> str:
    """The name by which the source is found from any working directory."""
    local = Path(name).expanduser()
    return str(local.absolute()) if local.is_dir() else name


def _snapshot(name: str, *, cached: bool) -> Path | None:
    """The model's folder in the hub's own cache; None where it is not there and none is fetched."""
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=cached))
    except LocalEntryNotFoundError:
        if cached:
            return None
        raise HeadstartError(f"the model hub:{name} could not be downloaded: the connection broke off") from None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(f"a public model called {name}", said(error), "Check the name on the hub.") from None


def _config_file(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        do = "Give the folder that save_pretrained wrote."
        raise UserError("a folder with a config.json", f"{folder} without one", do)
    return folder / "config.json"


def _weights(folder: Path) -> Sequence[Path]:
    found = sorted(folder.glob("*.safetensors"))
    if found:
        _check_these_alone(folder, {path.name for path in found})
        return found
    pickles = [path.name for pattern in PICKLES for path in folder.glob(pattern)]
    do = "Files of other kinds can run code and are not read. Convert it where you trust it: save_pretrained(FOLDER)."
    raise UserError("weights as safetensors", f"{folder} with {few(pickles) or 'no weights'}", do)


def _check_these_alone(folder: Path, names: set[str]) -> None:
    """Transformers also reads what an index names and what an adapter stands on: files that no hash would cover."""
    index = folder / "model.safetensors.index.json"
    listed = json_file.read(index).get("weight_map") if index.is_file() else {}
    elsewhere = {str(name) for name in listed.values()} - names if isinstance(listed, dict) else {index.name}
    if (folder / ADAPTER).is_file():
        elsewhere.add(ADAPTER)
    if elsewhere:
        do = "Merge it into one model and save that: save_pretrained(FOLDER)."
        raise UserError(f"all the weights in {folder}", f"a part that lies elsewhere ({few(elsewhere)})", do)


def _sha256(files: Sequence[Path]) -> str:
    """Of all the files, one behind the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _model_card(path: Path) -> tuple[str | None, TrainedOn | None]:
    """Licence and training data as the head of the model card states them."""
    try:
        stated: dict[str, Any] = (metadata_load(path) or {}) if path.is_file() else {}
    except Exception:  # noqa: BLE001 - foreign text: what cannot be read states nothing
        stated = {}
    data = stated.get("datasets") or ()
    names = {str(name).rpartition("/")[2].lower() for name in ([data] if isinstance(data, str) else data)}
    found = stated.get("license")
    return found if isinstance(found, str) else None, next((DATA[name] for name in DATA if name in names), None)


def _classes(config: Any) -> tuple[str, ...]:
    return tuple(str(config.id2label.get(number, number)) for number in range(config.num_labels))
