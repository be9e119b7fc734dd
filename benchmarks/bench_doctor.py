"""The doctor on natural photos: the card's preprocessing of each packaged source, and of one with a wrong range.

    .venv/bin/python benchmarks/bench_doctor.py

The photos are the Tux Paint stamps, laid over white. The wrong ones are a packaged source whose card is made to say
another range or colour order: what a user has who copies the usual lines of normalisation.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from picture_sets import stamps

from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.modalities.image.read import read
from headstart.selection.doctor import examine, verdict
from headstart.sources.access import Access
from headstart.sources.catalog import known
from headstart.sources.load import load
from headstart.sources.source import Source

RESULT = Path(__file__).parent / "results" / "doctor.json"
WRONG = {  # what is made wrong on purpose in a source's card
    "wheel:efficientnet-lite0, fed 0..255": ("wheel:efficientnet-lite0", {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}),
    "wheel:vgg16, fed 0..1": ("wheel:vgg16", {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
    "wheel:xception, fed 0..255": ("wheel:xception", {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}),
    "wheel:mobilenet-v2, BGR": ("wheel:mobilenet-v2", {"colour": "BGR"}),
}


def photos(root: Path) -> Dataset:
    """The stamps, a folder a class."""
    images, labels = stamps()
    for at, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = root / label / f"{at:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return read(root, store=Store())


def wrong(name: str, change: dict[str, object]) -> Source:
    """A source with a card that is not true."""
    source = load(name, Access(any_licence=True))
    taken = source.input.model_validate({**source.input.model_dump(), **change})
    return Source(source.card.model_copy(update={"input": taken}), source.model)


def main() -> None:
    """Examine every packaged image source and the wrong ones; write and print what was found."""
    packaged = [one.name for one in known() if one.availability in ("cached", "packaged")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = photos(Path(folder))
        made = {name: load(name, Access(any_licence=True)) for name in packaged}
        made |= {said: wrong(*what) for said, what in WRONG.items() if what[0] in made}
        for name, source in made.items():
            findings = examine(source, data, Store(), Silent())
            rows.append({"source": name, "n": findings[0].n, "verdict": verdict(name, findings)})
            rows[-1]["findings"] = [asdict(one) for one in findings]
            print(
                rows[-1]["verdict"],
                {f.name: (round(f.accuracy, 3), round(f.gain.low, 3)) for f in findings},
                flush=True,
            )
    RESULT.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
