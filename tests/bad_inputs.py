"""The bad inputs that the command line must answer with one or two clear lines: a name, a command, what is said."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

RANDOM = "random:resnet10t@64"


@dataclass(frozen=True)
class Bad:
    """One mistake.

    Args:
        name: of the test.
        arguments: from a fresh folder, which `make` may fill, to the command's arguments.
        says: a pattern that the message matches.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    says: str


def draw(path: Path, seed: int) -> None:
    """A tiny picture of its own; odd seeds are darker."""
    path.parent.mkdir(parents=True, exist_ok=True)
    top = 120 if seed % 2 else 256
    Image.fromarray(np.random.default_rng(seed).integers(0, top, (10, 10, 3), dtype=np.uint8)).save(path)


def photos(root: Path, count: int = 4) -> Path:
    """A good data set of two classes."""
    for i in range(2 * count):
        draw(root / "data" / ("cat", "dog")[i % 2] / f"{i}.png", i)
    return root / "data"


def _fit(*more: str) -> Callable[[Path], list[str]]:
    """`fit` of a good folder with these options."""
    return lambda root: ["fit", str(photos(root)), "--out", str(root / "runs" / "r"), *more]


def _data(make: Callable[[Path], Path], *more: str) -> Callable[[Path], list[str]]:
    """`fit` of what `make` leaves, with these options."""
    return lambda root: ["fit", str(make(root)), "--out", str(root / "runs" / "r"), *more]


def _filled(path: Path, content: bytes | str = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _empty(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _one_class(root: Path) -> Path:
    for i in range(3):
        draw(root / "data" / "cat" / f"{i}.png", i)
    return root / "data"


def _no_pictures(root: Path) -> Path:
    _empty(root / "data" / "cat")
    return _empty(root / "data" / "dog").parent


def _all_corrupt(root: Path) -> Path:
    for name in ("cat", "dog"):
        for i in range(3):
            _filled(root / "data" / name / f"{i}.jpg", f"broken {i}")
    return root / "data"


def _lonely(root: Path) -> Path:
    for i, name in enumerate(("cat", "dog", "eel")):
        draw(root / "data" / name / "0.png", i)
    return root / "data"


def _loose(root: Path) -> Path:
    for i in range(3):
        draw(root / "data" / f"{i}.png", i)
    return root / "data"


def _untested_train(root: Path) -> Path:
    draw(root / "data" / "test" / "cat" / "0.png", 0)
    draw(root / "data" / "train" / "0.png", 1)
    return root / "data"


def _table(text: str | None = None, name: str = "t.csv") -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        photos(root)
        rows = [f"data/{('cat', 'dog')[i % 2]}/{i}.png,{('cat', 'dog')[i % 2]},p{i}" for i in range(8)]
        return _filled(root / name, text if text is not None else "\n".join(["path,label,patient", *rows]))

    return make


def _continuous(root: Path) -> Path:
    photos(root)
    rows = [f"data/cat/0.png,{i + 0.5}" for i in range(300)]
    return _filled(root / "t.csv", "\n".join(["path,y", *rows]))


def _splits(root: Path) -> Path:
    photos(root)
    return _filled(root / "t.csv", "path,label,split\ndata/cat/0.png,cat,train\ndata/dog/1.png,dog,mars\n")


def _cut_parquet(root: Path) -> Path:
    return _filled(root / "t.parquet", b"PAR1 and then nothing")


def _finished(root: Path, record: str) -> Path:
    return _filled(root / "runs" / "r" / "record.json", record).parent


def _onto(make: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    def arguments(root: Path) -> list[str]:
        make(root)
        return _fit("--source", RANDOM)(root)

    return arguments


def _work_of_other_data(root: Path) -> list[str]:
    asked = {
        "fingerprint": "other", "target": None, "sources": [RANDOM], "strategies": ["linear"], "stage": None,
        "minutes": 1.0, "metric": "accuracy", "deliver": "auto", "seed": 0, "plans": "0",
    }  # fmt: skip
    work = {"schema": 1, "asked": asked, "sources": [RANDOM], "forward": {}, "step": {}, "solve": 0.1}
    path = _filled(root / "work.json", json.dumps(work))
    return _fit("--source", RANDOM, "--replay", str(path))(root)


def _replay(text: str) -> Callable[[Path], list[str]]:
    return lambda root: _fit("--replay", str(_filled(root / "work.json", text)))(root)


def _out(path: str) -> Callable[[Path], list[str]]:
    return lambda root: ["fit", str(photos(root)), "--out", str(root / path), "--source", RANDOM]


BAD = (
    Bad("path missing", _data(lambda r: r / "nowhere"), "does not exist"),
    Bad("path a file", _data(lambda r: _filled(r / "data.txt", "x")), r"data\.txt"),
    Bad("path a picture", _data(lambda r: photos(r) / "cat" / "0.png"), r"0\.png"),
    Bad("folder empty", _data(lambda r: _empty(r / "data")), "0 files and no sub-folder"),
    Bad("pictures loose", _data(_loose), "3 files and no sub-folder"),
    Bad("one class", _data(_one_class), r"two classes.*1 \(cat"),
    Bad("classes empty", _data(_no_pictures), "without any file"),
    Bad("all corrupt", _data(_all_corrupt), "6 files skipped.*not a picture"),
    Bad("one picture a class", _data(_lonely), "two classes"),
    Bad("train without classes", _data(_untested_train), "train"),
    Bad("source unknown", _fit("--source", "wheel:efficientnet-lite9"), "lite"),
    Bad("provider unknown", _fit("--source", "wheell:efficientnet-lite0"), "Did you mean wheel:efficientnet-lite0"),
    Bad("source without provider", _fit("--source", "efficientnet-lite0"), "name of a source"),
    Bad("architecture unknown", _fit("--source", "random:resnet10x"), "Did you mean.*resnet10t"),
    Bad("random malformed", _fit("--source", "random:resnet10t@large"), "random:ARCH@SIZE"),
    Bad("timm architecture unknown", _fit("--source", "timm:resnet181"), "Did you mean"),
    Bad("hub not reached", _fit("--source", "timm:resnet18.a1_in1k"), "no connection to the model hub"),
    Bad("source name empty", _fit("--source", "random:resnet10t,"), "Leave no name empty"),
    Bad("strategy typo", _fit("--strategy", "liner"), "Did you mean linear"),
    Bad("metric typo", _fit("--metric", "acuracy"), "Did you mean accuracy"),
    Bad("stage typo", _fit("--source", RANDOM, "--strategy", "linear", "--stage", "lst"), "Did you mean.*last"),
    Bad("command typo", lambda _: ["fitt", "x"], "Did you mean fit"),
    Bad("option typo", _fit("--minuts", "3"), "Did you mean --minutes"),
    Bad("option without value", _fit("--minutes"), "--minutes"),
    Bad("no data", lambda _: ["fit"], "DATA"),
    Bad("minutes negative", _fit("--minutes", "-1"), "--minutes above zero"),
    Bad("minutes zero", _fit("--minutes", "0"), "--minutes above zero"),
    Bad("minutes nan", _fit("--minutes", "nan"), "--minutes above zero"),
    Bad("minutes infinite", _fit("--minutes", "inf"), "--minutes above zero"),
    Bad("minutes no number", _fit("--minutes", "ten"), "--minutes.*valid number"),
    Bad("seed no number", _fit("--seed", "x"), "--seed.*valid integer"),
    Bad("seed negative", _fit("--seed", "-1"), "--seed from 0"),
    Bad("deliver unknown", _fit("--deliver", "contrl"), "Did you mean control"),
    Bad("licence unknown", _fit("--licence", "all"), "--licence any"),
    Bad("target on a folder", _fit("--target", "label"), "a table for --target"),
    Bad("group on a folder", _fit("--group", "patient"), "a table for --target, --group and --text"),
    Bad("test missing", _fit("--test", "nowhere"), "does not exist"),
    Bad("table without target", _data(_table()), "--target COLUMN.*path, label, patient"),
    Bad("target unknown", _data(_table(), "--target", "lable"), "Did you mean label"),
    Bad("group unknown", _data(_table(), "--target", "label", "--group", "pateint"), "Did you mean patient"),
    Bad("table without paths", _data(_table("a,label\nx,cat\ny,dog\n"), "--target", "label"), "a source table"),
    Bad("table empty", _data(_table(""), "--target", "label"), "a readable table"),
    Bad("table of bytes", _data(_table("\x00\x01\ud7ff\x02,\n\x00" * 9), "--target", "label"), r"t\.csv"),
    Bad("table only a header", _data(_table("path,label\n"), "--target", "label"), "picture paths"),
    Bad("table ragged", _data(_table("path,label\na,b\nc\n"), "--target", "label"), "a readable table"),
    Bad("parquet cut", _data(_cut_parquet, "--target", "label"), "a readable table"),
    Bad("jsonl broken", _data(_table('{"path": 1\n{', "t.jsonl"), "--target", "label"), "a readable table"),
    Bad("table ending unknown", _data(_table(name="t.xlsx"), "--target", "label"), r"Tables end in \.csv"),
    Bad("target continuous", _data(_continuous, "--target", "y", "--kind", "classification"), "300 different numbers"),
    Bad("copies of one picture", _data(_continuous, "--target", "y"), "at least 5 examples that are no copies"),
    Bad("a kind that is none", _data(_continuous, "--target", "y", "--kind", "regresion"), "Did you mean regression"),
    Bad(
        "metric of another kind", _data(_continuous, "--target", "y", "--metric", "accuracy"), "a metric of regression"
    ),
    Bad("kind of a folder", _data(_one_class, "--kind", "regression"), "A folder has classes"),
    Bad("split unknown", _data(_splits, "--target", "label"), "'mars'"),
    Bad("out a file", _onto(lambda r: _filled(r / "runs" / "r", "mine")), "new or empty folder"),
    Bad("out not empty", _onto(lambda r: _filled(r / "runs" / "r" / "mine.txt", "mine")), "new or empty folder"),
    Bad("out finished", _onto(lambda r: _finished(r, "{}")), "new or empty folder"),
    Bad("out below a file", lambda r: _out("file/r")(_filled(r / "file").parent), "file"),
    Bad("replay missing", _fit("--replay", "nowhere.json"), "a work.json of a former run"),
    Bad("replay no json", _replay("{"), "work.json"),
    Bad("replay other json", _replay("{}"), "work.json"),
    Bad("replay of other data", _work_of_other_data, "other data"),
    Bad("predict no run", lambda r: ["predict", str(_empty(r / "x")), str(r / "a.png")], "a finished run"),
    Bad("predict missing run", lambda r: ["predict", str(r / "x"), str(r / "a.png")], "a finished run"),
    Bad("predict no files", lambda r: ["predict", str(_empty(r / "x"))], "FILES"),
    Bad("report no run", lambda r: ["report", str(_empty(r / "x"))], "a finished run"),
    Bad("verify no run", lambda r: ["verify", str(_empty(r / "x"))], "a finished run"),
    Bad("predict cut record", lambda r: ["predict", str(_finished(r, '{"sch')), str(r / "a.png")], "a finished run"),
    Bad("report cut record", lambda r: ["report", str(_finished(r, '{"sch'))], "a finished run"),
    Bad("verify cut record", lambda r: ["verify", str(_finished(r, '{"sch'))], "a finished run"),
    Bad("report record of bytes", lambda r: ["report", str(_bytes(r))], "a finished run"),
    Bad("predict record of bytes", lambda r: ["predict", str(_bytes(r)), str(r / "a.png")], "a finished run"),
    Bad("advise missing", lambda r: ["advise", str(r / "nowhere")], "does not exist"),
    Bad("advise minutes", lambda r: ["advise", str(photos(r)), "--minutes", "0"], "--minutes above zero"),
    Bad("sources unknown", lambda _: ["sources", "list", "whel:*"], "name of a source"),
)


def _bytes(root: Path) -> Path:
    return _filled(root / "runs" / "r" / "record.json", b"\xff\xfe\x00broken").parent
