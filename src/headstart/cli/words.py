"""`headstart words`: neighbours and analogies in a table of word vectors, and a table extended by a corpus."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options
from headstart.cli.output import console, emit, emit_text, plain, table
from headstart.cli.progress import progress
from headstart.core.errors import UserError

if TYPE_CHECKING:
    from headstart.words.record import WordsRecord

FORMS = ("safetensors", "vec", "bin", "txt")
RECORD = "words.json"

Vectors = Annotated[
    str,
    typer.Argument(
        metavar="VECTORS", help="wheel:glove-6b-50d, glove:PATH, word2vec:PATH, vectors:PATH, or what extend wrote."
    ),
]
Count = Annotated[int, typer.Option("--k", "-k", min=1, metavar="N", help="How many words.")]


def near(
    vectors: Vectors,
    word: Annotated[str, typer.Argument(metavar="WORD")],
    k: Count = 10,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """The words nearest to WORD."""
    from headstart.words.load import load

    found = load(vectors, offline=offline).near(word, k)
    _print(json, {"vectors": vectors, "word": word}, "near", found)


def analogy(
    vectors: Vectors,
    a: Annotated[str, typer.Argument(metavar="A")],
    b: Annotated[str, typer.Argument(metavar="B")],
    c: Annotated[str, typer.Argument(metavar="C")],
    k: Count = 5,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """What is to C as B is to A: `analogy VECTORS man king woman`."""
    from headstart.words.load import load

    found = load(vectors, offline=offline).analogy(a, b, c, k)
    _print(json, {"vectors": vectors, "question": [a, b, c]}, "answers", found)


def extend(
    vectors: Vectors,
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A .txt file, a folder of them, or a table.")],
    out: Annotated[Path, typer.Option("--out", metavar="OUT", help="A new folder.")],
    text: Annotated[str | None, typer.Option("--text", metavar="COL", help="Column of a table with the texts.")] = None,
    method: Annotated[str, typer.Option("--method", metavar="M", help="How new words are induced.")] = "joined",
    at_least: Annotated[int, typer.Option("--at-least", metavar="N", help="Occurrences that a word needs.")] = 5,
    drift: Annotated[
        float, typer.Option("--drift", metavar="X", help="Mean cosine distance that known words may move; 0 for none.")
    ] = 0.02,
    hidden: Annotated[
        int, typer.Option("--hidden", metavar="N", help="Known words that are hidden to judge by.")
    ] = 500,
    similarity: Annotated[
        list[Path] | None, typer.Option("--similarity", metavar="FILE", help="Judged pairs: word, word, number.")
    ] = None,
    form: Annotated[
        str, typer.Option("--form", metavar="|".join(FORMS), callback=options.one_of("--form", *FORMS), help="Of OUT.")
    ] = "safetensors",
    seed: options.Seed = 0,
    offline: options.Offline = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Add the new words of CORPUS to VECTORS, tune the known ones, and say how good that is."""
    from headstart.words import corpus as corpora
    from headstart.words.extend import Asked, extend
    from headstart.words.load import load
    from headstart.words.scores import read_pairs

    _free(out)
    asked = Asked(method, at_least, drift, hidden, seed)
    pairs = {path.stem: read_pairs(path) for path in similarity or ()}
    told = progress(quiet)
    with told.step("read"):
        known = load(vectors, offline=offline)
        texts = corpora.read(Path(corpus), text, lower=known.lower_case)
    done = extend(known, texts, asked, name=corpus, pairs=pairs, progress=told)
    said = done.record.model_dump_json(by_alias=True, indent=2)
    _write(out, done.words, done.table, said, form)
    if json:
        emit_text(said)
        return
    _show(done.record)
    emit_text(str(out))


def _free(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError("a new folder for --out", f"{out}, which is there already", "Choose another, or remove it.")


def _write(out: Path, words: tuple[str, ...], rows: Any, said: str, form: str) -> None:
    """Aside, then by rename, so that it is there whole or not at all."""
    from headstart.words.save import save

    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        save(aside / f"vectors.{form}", words, rows)
        (aside / RECORD).write_text(said + "\n", encoding="utf-8")
        aside.chmod(0o755)
        if out.exists():
            out.rmdir()
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _print(json: bool, asked: dict[str, Any], key: str, found: tuple[Any, ...]) -> None:
    if json:
        emit({**asked, key: [asdict(one) for one in found]})
        return
    console().print(table(("word", "cosine"), [(one.word, f"{one.cosine:.3f}") for one in found], right=("cosine",)))


def _show(record: "WordsRecord") -> None:
    out = console()
    corpus, added = record.corpus, record.added
    out.print(
        plain(f"{corpus.name}: {corpus.tokens:,} words of text, {corpus.words:,} different, {corpus.known:,} known")
    )
    out.print(f"added: {added.words:,} new words ({added.left_out:,} occur fewer than {added.at_least} times)")
    rows = [(one.word, f"{one.occurrences:,}", ", ".join(one.near)) for one in added.first]
    out.print(table(("new word", "occurs", "nearest"), rows, right=("occurs",)))
    if record.hidden is not None:
        title = f"{record.hidden.ranks[0].words} hidden words, {record.hidden.contexts} contexts each at most"
        ranks = [(r.method, f"{r.median:,.1f}", f"{r.mrr:.4f}", f"{r.top10:.1%}") for r in record.hidden.ranks]
        columns = (title, f"median rank of {record.hidden.among:,}", "MRR", "in the first 10")
        out.print(table(columns, ranks, right=columns[1:]))
    if record.tuning is not None:
        t = record.tuning
        out.print(
            f"tuned: {t.words:,} words; {t.known:,} known ones moved by {t.drift:.4f} on average (at most {t.most:g})"
        )
    for one in record.similarity:
        out.print(plain(f"{one.name}: {one.before:.3f} before, {one.after:.3f} after, {one.pairs} pairs"))
    for note in record.notes:
        out.print(plain(f"note: {note}"))
