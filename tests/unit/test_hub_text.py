"""Text encoders of transformers: their tokenizer, window and pooling travel with them, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.core.errors import UserError
from headstart.sources import load as sources
from headstart.sources.access import NOTHING_SPECIAL
from headstart.sources.card import TextInput
from headstart.sources.source import Source
from headstart.testing import check_source

transformers = pytest.importorskip("transformers", reason="the extra text is not installed")
tokenizers = pytest.importorskip("tokenizers", reason="the extra text is not installed")

WORDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "good": 4, "bad": 5, "film": 6}
TINY = {
    "vocab_size": 1000, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 64,
}  # fmt: skip
DISTIL = {"vocab_size": 1000, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64}


def load(name: str) -> Source:
    return sources.load(name, replace(NOTHING_SPECIAL, trust=True, any_licence=True))


def saved(folder: Path, family: str = "Bert", kind: str = "Model", **settings: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**(DISTIL if family == "DistilBert" else TINY), **settings)
    model = getattr(transformers, f"{family}{kind}")(config).eval()
    model.save_pretrained(folder)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=32)
    tokenizer.save(str(folder / "tokenizer.json"))
    return model


def taken(source: Source) -> TextInput:
    assert isinstance(source.input, TextInput)
    return source.input


@pytest.mark.parametrize("family", ["Bert", "DistilBert", "Electra"])
def test_an_encoder_keeps_the_contract(family: str, tmp_path: Path) -> None:
    saved(tmp_path, family)
    source = load(f"hub:{tmp_path}")
    assert source.card.stage_names() == ("embedding", "block.0", "block.1")
    check_source(source)


def test_features_are_what_the_model_says_averaged_over_its_tokens(tmp_path: Path) -> None:
    model = saved(tmp_path)
    source = load(f"hub:{tmp_path}")
    tokens = torch.zeros(2, taken(source).window * taken(source).windows, dtype=torch.int32)
    tokens[0, :4], tokens[1, :3] = torch.tensor([2, 4, 6, 3]), torch.tensor([2, 5, 3])
    found = source.tapper()(tokens)["block.1"]
    for row, length in ((0, 4), (1, 3)):
        with torch.inference_mode():
            alone = model(input_ids=tokens[row : row + 1, :length].long())["last_hidden_state"].mean(dim=1)
        torch.testing.assert_close(found[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_window_and_pooling_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    saved(tmp_path)
    assert (taken(load(f"hub:{tmp_path}")).window, load(f"hub:{tmp_path}").card.pooling) == (64, "avg")
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16}))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    source = load(f"hub:{tmp_path}")
    assert (taken(source).window, source.card.pooling) == (16, "cls")


def test_the_padding_of_its_tokenizer_is_not_part_of_a_text(tmp_path: Path) -> None:
    saved(tmp_path)
    assert len(tokenizers.Tokenizer.from_str(taken(load(f"hub:{tmp_path}")).tokenizer).encode("good film").ids) == 4


def test_the_head_of_a_classifier_is_left_out_and_said(tmp_path: Path) -> None:
    saved(tmp_path, kind="ForSequenceClassification")
    changes = load(f"hub:{tmp_path}").card.changes
    assert any("classifier" in one for one in changes)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "a tokenizer.json beside the weights"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "a tokenizer.json, got"),
    ],
)
def test_without_its_tokenizer_it_is_refused(spoil: Any, expected: str, tmp_path: Path) -> None:
    saved(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=expected):
        load(f"hub:{tmp_path}")


def test_what_also_decodes_is_refused(tmp_path: Path) -> None:
    config = transformers.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    transformers.T5Model(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="a text encoder, got t5, which also decodes"):
        load(f"hub:{tmp_path}")
