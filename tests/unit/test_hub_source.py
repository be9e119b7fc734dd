"""Vision encoders of transformers: the model's own output, its preprocessing, and what is refused."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.core import extras
from headstart.core.errors import HeadstartError, UserError
from headstart.sources import load as sources
from headstart.sources.access import NOTHING_SPECIAL, Access
from headstart.sources.card import Architecture
from headstart.sources.load import rebuild
from headstart.sources.providers import hub as provider
from headstart.sources.source import Source
from headstart.testing import check_source

transformers = pytest.importorskip("transformers", reason="the extra hub is not installed")

SIDE = 32
NAMES = ("cat", "dog", "owl")
LABELS = {"num_labels": 3, "id2label": dict(enumerate(NAMES))}
TOKENS = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "image_size": SIDE,
    "patch_size": 8,
}  # fmt: skip
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [2, 2], "layer_type": "basic"}
CONVNEXT = {"hidden_sizes": [8, 16], "depths": [2, 2], "num_stages": 2, "image_size": SIDE}
SWIN = {"image_size": SIDE, "patch_size": 2, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}
PIXELS = {
    "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": SIDE, "width": SIDE},
    "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4],
}  # fmt: skip
CARD = "---\nlicense: apache-2.0\ndatasets:\n- some/imagenet-1k\n- imagenet-21k\n---\n# A model\n"
MODELS = {  # family: (config, its settings, how its encoder pools)
    "ViT": ("ViTConfig", TOKENS, lambda out: out.last_hidden_state[:, 0]),
    "ResNet": ("ResNetConfig", RESNET, lambda out: out.pooler_output.flatten(1)),
    "ConvNext": ("ConvNextConfig", CONVNEXT, lambda out: out.pooler_output),
    "Swin": ("SwinConfig", SWIN, lambda out: out.pooler_output),
    "Dinov2": ("Dinov2Config", TOKENS, lambda out: out.pooler_output),
    "CLIPVision": ("CLIPVisionConfig", TOKENS, lambda out: out.pooler_output),
}
CLASSIFIERS = ("ViT", "ResNet", "ConvNext", "Swin", "Dinov2")


def load(name: str, access: Access = NOTHING_SPECIAL) -> Source:
    """A source of files that the test made, and so trusts."""
    return sources.load(name, replace(access, trust=True))


def saved(folder: Path, name: str, *, pixels: dict[str, Any] | None = PIXELS, **settings: object) -> Any:
    """A small model of transformers with random weights, in a folder; `name` is what follows "transformers."."""
    family = name.removesuffix("ForImageClassification").removesuffix("Model")
    kind, own, _ = MODELS[family]
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    model = getattr(transformers, name)(getattr(transformers, kind)(**{**own, **settings})).eval()
    model.save_pretrained(folder)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    if pixels is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(pixels), encoding="utf-8")
    return model


def edited(path: Path, **changes: object) -> None:
    """Change a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def prepared(source: Source) -> tuple[Tensor, Tensor]:
    """Pixels, and the same as the model's own preprocessor would give them."""
    pixels = torch.randint(0, 256, (3, SIDE, SIDE, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(PIXELS[key]) for key in ("image_mean", "image_std"))
    return pixels, ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)


# What it gives


@pytest.mark.parametrize("family", MODELS)
def test_features_of_an_encoder_are_the_models_own(family: str, tmp_path: Path) -> None:
    model = saved(tmp_path, f"{family}Model")
    source = load(f"hub:{tmp_path}", Access(offline=True))
    pixels, planes = prepared(source)
    with torch.inference_mode():
        wanted = MODELS[family][2](model(pixel_values=planes))
    found = list(source.tapper()(pixels).values())[-1]
    assert float((found - wanted).abs().max()) < 1e-5
    assert float((wanted[0] - wanted[1]).abs().max()) > 1e-5  # or any features would do
    assert source.own_head() is None
    check_source(source)


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_the_classifier_of_a_checkpoint_is_the_sources_own_head(family: str, tmp_path: Path) -> None:
    model = saved(tmp_path, f"{family}ForImageClassification", **LABELS)
    source = load(f"hub:{tmp_path}", Access(offline=True))
    pixels, planes = prepared(source)
    with torch.inference_mode():
        wanted = model(pixel_values=planes).logits
    own = source.own_head()
    assert own is not None
    features = list(source.tapper()(pixels).values())[-1].double().numpy()
    np.testing.assert_allclose(features @ own[0].T + own[1], wanted, atol=1e-5)
    assert source.card.head_classes == NAMES
    check_source(source)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("ViTModel", ("embeddings", "layers.0", "layers.1", "layers.2", "layernorm")),
        ("CLIPVisionModel", ("pre_layrnorm", *(f"encoder.layers.{i}" for i in range(3)), "post_layernorm")),
        ("ResNetModel", ("embedder", *(f"encoder.stages.{i}.layers.{k}" for i in range(2) for k in range(2)))),
        (
            "SwinModel",
            (
                "embeddings", "encoder.layers.0.blocks.0", "encoder.layers.0.blocks.1", "encoder.layers.0.downsample",
                "encoder.layers.1.blocks.0", "encoder.layers.1.blocks.1", "layernorm",
            ),
        ),
    ],
)  # fmt: skip
def test_stages_are_the_embeddings_the_blocks_and_the_norm(name: str, stages: tuple[str, ...], tmp_path: Path) -> None:
    saved(tmp_path, name)
    assert load(f"hub:{tmp_path}").card.stage_names() == tuple(f"model.{stage}" for stage in stages)


def test_a_stage_is_tapped_behind_the_sum_of_its_block(tmp_path: Path) -> None:
    """Blocks of Swin give several values; the hidden states that transformers itself reports are the reference."""
    model = saved(tmp_path, "SwinModel")
    source = load(f"hub:{tmp_path}")
    pixels, planes = prepared(source)
    with torch.inference_mode():
        hidden = model(pixel_values=planes, output_hidden_states=True).hidden_states
    found = source.tapper()(pixels)
    torch.testing.assert_close(found["model.embeddings"], hidden[0].mean(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(found["model.encoder.layers.0.downsample"], hidden[1].mean(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(found["model.encoder.layers.1.blocks.1"], hidden[2].mean(1), rtol=0, atol=1e-5)


def test_the_vision_part_of_a_model_of_two_kinds_is_taken(tmp_path: Path) -> None:
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    words = {"vocab_size": 50, "max_position_embeddings": 8, "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.CLIPConfig(vision_config=TOKENS, text_config={**text, **words}, projection_dim=16)
    model = transformers.CLIPModel(config).eval()
    saved(tmp_path, "ViTModel")  # for all but config and weights
    model.save_pretrained(tmp_path)
    source = load(f"hub:{tmp_path}")
    pixels, planes = prepared(source)
    with torch.inference_mode():
        wanted = model.vision_model(pixel_values=planes).pooler_output
    torch.testing.assert_close(source.tapper()(pixels)["model.post_layernorm"], wanted, rtol=0, atol=1e-5)
    assert "text_model" in source.card.changes[0]
    rebuild(source.card).net(2).load_state_dict(source.net(2).state_dict(), strict=True)


def test_half_precision_on_disk_is_full_precision_here(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel").half().save_pretrained(tmp_path)
    assert {p.dtype for p in load(f"hub:{tmp_path}").model.parameters()} == {torch.float32}


# The card


def test_the_card_says_what_the_folder_says(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    card = load(f"hub:{tmp_path}").card
    assert (card.licence.name, card.licence.commercial) == ("apache-2.0", True)
    assert card.trained_on is not None
    assert card.trained_on.name == "ImageNet-21k"
    assert (card.input.size, card.input.crop, card.input.interpolation) == (SIDE, 1.0, "bilinear")
    assert (card.input.mean, card.input.std) == ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    assert card.changes == ("in the file, left out: pooler",)
    assert card.sha256 is not None
    assert json.loads(card.architecture.text)["model_type"] == "vit"


@pytest.mark.parametrize("text", [None, "# No head", "---\nlicense: [mit, apache-2.0]\n---\n", "---\na: b: c\n---\n"])
def test_a_licence_that_is_not_stated_is_not_assumed(text: str | None, tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    (tmp_path / "README.md").unlink()
    if text is not None:
        (tmp_path / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="no stated licence"):
        load(f"hub:{tmp_path}")
    assert load(f"hub:{tmp_path}", Access(any_licence=True)).card.licence.name is None


def test_a_card_is_enough_to_build_the_net_again(tmp_path: Path) -> None:
    saved(tmp_path, "SwinForImageClassification", **LABELS)
    source = load(f"hub:{tmp_path}")
    built = rebuild(source.card)
    built.net(2).load_state_dict(source.net(2).state_dict(), strict=True)
    assert built.card == source.card


def test_surgery_works_on_it(tmp_path: Path) -> None:
    saved(tmp_path, "ViTForImageClassification", **LABELS)
    source = load(f"hub:{tmp_path}")
    pixels, _ = prepared(source)
    cut = source.cut_at("model.vit.layers.1").tapper()(pixels)
    torch.testing.assert_close(cut["model.vit.layers.1"], source.tapper()(pixels)["model.vit.layers.1"])
    grey = pixels.float().mean(-1, keepdim=True).to(torch.uint8)
    assert source.widen_input(1).net(2)(grey).shape == (3, 2)  # transformers compares channels with the config
    with pytest.raises(UserError, match="an input size that"):
        source.at_size(SIDE + 8)


# Weights


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def hostile(canary: Path) -> bytes:
    class Hostile:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[object, ...]]:
            return os.mkdir, (str(canary),)

    return pickle.dumps(Hostile())


def test_pickled_weights_are_refused(tmp_path: Path, canary: Path) -> None:
    saved(tmp_path, "ViTModel")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(hostile(canary))
    with pytest.raises(UserError, match=r"expected weights as safetensors, got .* with pytorch_model\.bin"):
        load(f"hub:{tmp_path}")
    assert not canary.exists()


@pytest.mark.parametrize("native", [True, False])
def test_remote_code_is_refused(native: bool, tmp_path: Path, canary: Path) -> None:
    saved(tmp_path, "ViTModel")
    code = f"import os\nos.mkdir({str(canary)!r})\n"
    (tmp_path / "modeling_x.py").write_text(code, encoding="utf-8")
    (tmp_path / "configuration_x.py").write_text(code, encoding="utf-8")
    auto = {"AutoConfig": "configuration_x.XConfig", "AutoModel": "modeling_x.XModel"}
    edited(tmp_path / "config.json", auto_map=auto, model_type="vit" if native else "x")
    with pytest.raises(UserError, match=r"a model without code of its own, got a config\.json with auto_map"):
        load(f"hub:{tmp_path}")
    with pytest.raises(UserError, match="auto_map"):
        provider.construct(Architecture(name="x", builder="hub", text=(tmp_path / "config.json").read_text()))
    assert not canary.exists()


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    edited(tmp_path / "config.json", num_hidden_layers=4)
    with pytest.raises(UserError, match=r"all the weights of vit, got .* missing \(layers\.3\."):
        load(f"hub:{tmp_path}")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    edited(tmp_path / "config.json", intermediate_size=64)
    with pytest.raises(UserError, match="the weights of vit, got"):
        load(f"hub:{tmp_path}")


def test_a_damaged_file_is_no_traceback(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(HeadstartError, match="the weights of vit"):
        load(f"hub:{tmp_path}")


def test_weights_with_nan_are_refused(tmp_path: Path) -> None:
    model = saved(tmp_path, "ViTModel")
    with torch.no_grad():
        model.layernorm.weight[0] = torch.nan
    model.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"layernorm\.weight holds NaN"):
        load(f"hub:{tmp_path}")


# Configs


@pytest.mark.parametrize(
    ("changes", "expected", "do"),
    [
        (
            {"model_type": "wav2vec2"},
            "an encoder of pictures or texts, got wav2vec2, which takes input_values",
            "another",
        ),
        ({"model_type": "vitt"}, "the name of a model_type of transformers", "vit"),
        ({"model_type": None}, "the name of a model_type of transformers", "Known"),
        ({"model_type": "timm_wrapper"}, "a model of transformers", "timm:NAME"),
        ({"quantization_config": {"bits": 4}}, "float weights", "unquantised"),
        ({"hidden_size": "wide"}, "a config.json of vit", "again"),
    ],
)
def test_a_config_that_is_no_encoder_is_one_clear_line(
    changes: dict[str, object], expected: str, do: str, tmp_path: Path
) -> None:
    saved(tmp_path, "ViTModel")
    edited(tmp_path / "config.json", **changes)
    with pytest.raises(UserError, match=expected) as caught:
        load(f"hub:{tmp_path}")
    assert do in caught.value.do


def test_a_model_without_pooled_output_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    transformers.ViTMAEModel(transformers.ViTMAEConfig(**TOKENS)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="a vision encoder with a pooled output, got ViTMAEModel"):
        load(f"hub:{tmp_path}")


def test_a_model_that_joins_two_classifiers_is_refused(tmp_path: Path) -> None:
    config = transformers.SwiftFormerConfig(image_size=SIDE, depths=[1, 1, 1, 1], embed_dims=[8, 8, 8, 8], **LABELS)
    with pytest.raises(UserError, match="a model with one classifier, got SwiftFormerForImageClassification"):
        provider._backbone(transformers.SwiftFormerForImageClassification(config).eval(), _classifying(config))


def _classifying(config: Any) -> Any:
    config.architectures = ["SwiftFormerForImageClassification"]
    return config


@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_a_config_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="a JSON object"):
        load(f"hub:{tmp_path}")


# Preprocessing: see test_preprocessor.py


def test_a_missing_preprocessor_is_not_guessed(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel", pixels=None)
    with pytest.raises(UserError, match=r"preprocessor_config\.json beside the weights"):
        load(f"hub:{tmp_path}")


# Names and the hub


@pytest.mark.parametrize("name", ["", "vit", "../nowhere", "/nowhere/at/all", "a/b/c", "-x/y", "a/b@c"])
def test_a_name_that_is_neither_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="hub:ORG/NAME or hub:FOLDER"):
        load(f"hub:{name}")


def test_a_name_that_no_hub_can_have_is_refused() -> None:
    with pytest.raises(UserError, match="a public model called a/b--c"):
        load("hub:a/b--c")


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder with a config\.json"):
        load(f"hub:{tmp_path}")


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_a_config_does_not_choose_code_to_fetch_and_run(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transformers would download and import what such a name means."""

    def called(*_: object, **__: object) -> None:
        raise AssertionError("a kernel was asked for")

    saved(tmp_path, "ViTModel")
    wanted = load(f"hub:{tmp_path}").identity
    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", called)
    edited(tmp_path / "config.json", **{key: "kernels-community/flash-attn"})
    source = load(f"hub:{tmp_path}")
    assert source.model.state_dict().keys() == load(f"hub:{tmp_path}").model.state_dict().keys()
    assert source.identity != wanted, "the text of the config is part of the net's description"
    rebuild(source.card)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors.index.json", {"weight_map": {"a": "../elsewhere.safetensors"}}),
        ("model.safetensors.index.json", {"weight_map": ["a"]}),
        ("adapter_config.json", {"base_model_name_or_path": "some/model"}),
    ],
)
def test_weights_that_the_hash_would_not_cover_are_refused(name: str, content: object, tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"all the weights in .*, got a part that lies elsewhere"):
        load(f"hub:{tmp_path}")


def test_a_config_names_no_other_file_of_weights(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    wanted = {k: v.clone() for k, v in load(f"hub:{tmp_path}").model.state_dict().items()}
    torch.save({}, tmp_path / "adapter_model.bin")
    edited(tmp_path / "config.json", transformers_weights="adapter_model.bin")
    found = load(f"hub:{tmp_path}").model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_a_config_that_is_no_text_is_no_traceback(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    (tmp_path / "config.json").write_bytes(b'{"model_type": "vit\xff"}')
    with pytest.raises(UserError, match="model_type of transformers"):
        load(f"hub:{tmp_path}")


def test_classes_without_a_name_go_by_their_number(tmp_path: Path) -> None:
    saved(tmp_path, "ViTForImageClassification", **LABELS)
    edited(tmp_path / "config.json", id2label={"0": "cat", "1": "dog", "7": "owl"})
    assert load(f"hub:{tmp_path}").card.head_classes == ("cat", "dog", "2")


def test_no_call_is_made_when_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[bool] = []

    def snapshot(_: str, *, cached: bool) -> None:
        asked.append(cached)

    def called() -> bool:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(provider, "_snapshot", snapshot)
    monkeypatch.setattr(provider, "hub_answers", called)
    with pytest.raises(UserError, match="no connection to the model hub"):
        load("hub:some/model", Access(offline=True))
    assert asked == [True]


def test_what_the_hubs_cache_has_needs_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel")
    monkeypatch.setattr(provider, "_snapshot", lambda _, cached: tmp_path)
    source = load("hub:some/model", Access(offline=True))
    assert source.name == "hub:some/model"
    assert str(tmp_path) not in source.card.model_dump_json()


def test_only_what_is_needed_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        if local_files_only:
            raise provider.LocalEntryNotFoundError("nothing there")
        asked[name] = allow_patterns
        return str(tmp_path)

    saved(tmp_path, "ViTModel")
    monkeypatch.setattr(provider, "snapshot_download", fetch)
    monkeypatch.setattr(provider, "hub_answers", lambda: True)
    load("hub:some/model")
    assert list(asked) == ["some/model"]
    assert not [pattern for pattern in asked["some/model"] if pattern.endswith((".bin", ".py", ".pt", "*"))]


def test_a_connection_that_breaks_off_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> str:
        raise provider.LocalEntryNotFoundError("nothing there")

    monkeypatch.setattr(provider, "snapshot_download", fetch)
    monkeypatch.setattr(provider, "hub_answers", lambda: True)
    with pytest.raises(HeadstartError, match="hub:some/model could not be downloaded"):
        load("hub:some/model")


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras.importlib, "import_module", absent)
    with pytest.raises(UserError, match="the package transformers") as caught:
        provider.load(str(tmp_path))
    assert "headstart[hub]" in caught.value.do
