"""Texts become the same token numbers everywhere: hashed words, or a source's own tokenizer, window by window."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from headstart.data.dataset import Item
from headstart.data.word_numbers import number, words
from headstart.linear.tf_idf import MOST
from headstart.modalities.text.baselines import BINS, CONTROLS, RAW
from headstart.modalities.text.modality import TEXT
from headstart.modalities.text.prepare import tokens, windows
from headstart.sources.card import TextInput

HASHED = TextInput(tokenizer="", window=4, windows=3)
FILM, TOKYO = 1157636713912175383, 4288646696303987453
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "was", "good", "bad")


def item(text: str) -> Item:
    return Item(text, Path(), "key", text)


@pytest.fixture(scope="module")
def tokenizer() -> str:
    """Whole words, marks at both ends of a window."""
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [(mark, VOCABULARY.index(mark)) for mark in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    return made.to_str()


# Words by their hash


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't PANIC!", ["don't", "panic", "!"]),
        ("It\u2019s 3.5%", ["it\u2019s", "3", ".", "5", "%"]),
        ("Straße\n\tSTRASSE", ["strasse", "strasse"]),
        ("東京 café", ["東京", "café"]),
        (" \n ", []),
    ],
)
def test_words_are_lower_case_and_signs_stand_alone(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_a_word_has_the_number_that_it_always_had() -> None:
    """Features in caches and models in runs stand on these."""
    assert (number("film"), number("東京")) == (FILM, TOKYO)


def test_another_process_gives_the_same_numbers() -> None:
    ask = "from headstart.data.word_numbers import number; print(number('film'), number('\\u6771\\u4eac'))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(FILM), str(TOKYO)]


def test_words_have_numbers_of_their_own_and_none_is_the_empty_position() -> None:
    found = np.array([number(f"word {i}") for i in range(50_000)], dtype=np.int64)
    assert found.min() > 0
    assert found.max() > 2**61
    assert len(set(found.tolist())) == len(found)


# Windows


def test_a_long_text_is_cut_into_windows_and_its_end_is_left_out() -> None:
    text = " ".join(f"w{i}" for i in range(14))
    every = [number(f"w{i}") for i in range(14)]
    assert [len(window) for window in windows(text, HASHED)] == [4, 4, 4, 2]
    found = tokens(text, HASHED)
    assert found.dtype == np.int64
    assert found.tolist() == every[:12]


def test_a_short_text_is_filled_up_and_an_empty_one_is_empty() -> None:
    assert tokens("good film", HASHED).tolist() == [number("good"), number("film"), *[0] * 10]
    assert tokens("", HASHED).tolist() == [0] * 12
    assert tokens("good", HASHED.model_copy(update={"pad": 7})).tolist() == [number("good"), *[7] * 11]


def test_each_window_has_the_marks_of_its_tokenizer(tokenizer: str) -> None:
    taken = TextInput(tokenizer=tokenizer, window=5, windows=2)
    the, film, was, good, bad = range(4, 9)
    assert windows("the film was good", taken) == ((2, the, film, was, 3), (2, good, 3))
    assert tokens("the film was good", taken).tolist() == [2, the, film, was, 3, 2, good, 3, 0, 0]
    assert tokens("the film was good and bad bad", taken).tolist() == [2, the, film, was, 3, 2, good, 1, bad, 3]
    assert tokens("", taken).tolist() == [2, 3, *[0] * 8]


def test_a_tokenizer_is_read_once_for_each_window_and_keeps_no_window_of_another(tokenizer: str) -> None:
    wide, narrow = (TextInput(tokenizer=tokenizer, window=window) for window in (8, 4))
    assert [len(windows("the film was good", taken)) for taken in (wide, narrow, wide)] == [1, 2, 1]


def test_padding_and_truncation_that_a_tokenizer_brings_are_not_obeyed(tokenizer: str) -> None:
    made = Tokenizer.from_str(tokenizer)
    made.enable_truncation(3)
    made.enable_padding(length=20)
    taken = TextInput(tokenizer=made.to_str(), window=5)
    assert windows("the film was good", taken) == ((2, 4, 5, 6, 3), (2, 7, 3))


# What the modality says of texts


def test_caveats_count_what_is_cut_and_what_is_not_read() -> None:
    texts = [item(" ".join("w" * count)) for count in (1, 4, 5, 12, 13, 99)]
    assert TEXT.caveats(texts, HASHED) == (
        "4 of 6 texts are longer than 4 tokens: read in windows; 2 of them are not read behind window 3",
    )
    assert TEXT.caveats(texts[:4], HASHED) == ("2 of 4 texts are longer than 4 tokens: read in windows",)
    assert TEXT.caveats(texts[:2], HASHED) == ()


def test_a_net_is_timed_on_texts_of_all_lengths() -> None:
    texts = [item("w " * count) for count in range(1, 10)]
    found = TEXT.sample(texts, HASHED, 3)
    assert ((found != 0).sum(axis=1) == [1, 5, 9]).all()
    assert TEXT.sample(texts, HASHED, 20).shape == (20, 12)


def test_counts_of_words_know_no_order() -> None:
    prepared = [TEXT.prepare(item(text), RAW.input) for text in ("a b b", "b a b", "a b c", " ")]
    counts = RAW.tapper()(torch.from_numpy(np.stack(prepared)))["counts"]
    assert torch.equal(counts[0], counts[1])
    assert not torch.equal(counts[0], counts[2])
    assert counts.shape == (4, BINS)
    assert sorted(counts[0].tolist())[-2:] == pytest.approx([np.log(2), np.log(3)])
    assert not counts[3].any()


def test_words_come_through_to_the_control_of_tf_idf() -> None:
    """As numbers that float32, in which features are kept, tells apart."""
    reads = CONTROLS["tf-idf"]
    prepared = TEXT.prepare(item(" ".join(f"w{i}" for i in range(1000))), reads.input)
    found = reads.tapper()(torch.from_numpy(prepared[None]))["words"]
    assert found.dtype == torch.float32
    assert found.shape == (1, reads.widths["words"])
    assert found[0, :1000].tolist() == [1 + number(f"w{i}") % (MOST - 1) for i in range(1000)]
    assert found[0, :1000].max() < MOST
    assert not found[0, 1000:].any()
