"""What a shell may complete: names without a framework, runs as folders. Nothing here may be slow, or fail."""

import io
import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

METRICS = (
    "accuracy", "balanced_accuracy", "macro_f1", "log_loss", "mean_average_precision", "micro_f1", "label_f1",
    "jaccard", "exact_match", "label_loss", "r2", "mae", "rmse",
)  # fmt: skip
"""Of `headstart.metrics.scores`, which loads numpy; a test compares them."""
STAGES = ("last", "first", "-1", "-2", "..-1", "..-2", "*")
TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")
"""Of `headstart.tracking`; a test compares them."""
RECORDS = ("record.json", "comparison.json")  # what makes a folder one to name


def listed(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Completes the last of several names with commas between them."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        return [f"{before}{comma}{name}" for name in names() if name.startswith(last) and name not in given]

    return complete


def one(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Completes one of these names."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def sources() -> list[str]:
    """Those that have a name of their own, and how the others begin."""
    from headstart.sources.added import entries
    from headstart.sources.catalog import FORMS, packages

    own = [f"file:{entry.name}" for entry in entries()]
    begun = [form.name.partition(":")[0] + ":" for form in FORMS]
    return [*packages(), *own, *dict.fromkeys(name for name in begun if name != "wheel:")]


def strategies() -> tuple[str, ...]:
    """All that there are, those of other packages too."""
    from headstart.strategies.catalog import STRATEGIES

    return STRATEGIES.names()


def runs(incomplete: str) -> list[str]:
    """Folders that hold a run, and those on the way there."""
    head, tail = os.path.split(incomplete)
    found: list[str] = []
    for path in sorted(_folders(Path(head or "."))):
        if path.name.startswith(tail) and (tail.startswith(".") or not path.name.startswith(".")):
            shown = os.path.join(head, path.name)  # noqa: PTH118 - as it was typed, "./" and all
            found.append(shown if any((path / name).is_file() for name in RECORDS) else f"{shown}/")
    return found


def _folders(inside: Path) -> list[Path]:
    try:
        return [path for path in inside.iterdir() if path.is_dir()]
    except OSError:
        return []


@contextmanager
def whole_words() -> Generator[None]:
    """Names with a colon, which Bash takes for the end of a word: joined to be completed, and the rest given back."""
    if os.environ.get("_HEADSTART_COMPLETE") != "complete_bash":
        yield
        return
    words, at = joined(os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"]))
    os.environ.update(COMP_WORDS="\n".join(words), COMP_CWORD=str(at))
    begun = len("".join(words[at : at + 1]).rpartition(":")[0])
    found = io.StringIO()
    try:
        with redirect_stdout(found):
            yield
    finally:
        sys.stdout.write("".join(f"{line[begun + 1 if begun else 0 :]}\n" for line in found.getvalue().splitlines()))


def joined(words: list[str], at: int) -> tuple[list[str], int]:
    """Words that Bash has cut at colons, as they were typed, and where the one at `at` is now.

    >>> joined(["fit", "--source", "wheel", ":", "eff"], 4)
    (['fit', '--source', 'wheel:eff'], 2)
    """
    found: list[str] = []
    now = at
    for index, word in enumerate(words):
        if found and (word == ":" or found[-1].endswith(":")):
            found[-1] += word
        else:
            found.append(word)
        if index == at:
            now = len(found) - 1
    return found, now
