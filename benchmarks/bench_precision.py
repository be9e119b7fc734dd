"""What low precision does to features: cosine to float32 and leave-one-out accuracy on ELPV, for each way.

.venv/bin/python benchmarks/bench_precision.py [--photos 656]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from elpv_data import lay_out

from headstart.core.progress import Silent
from headstart.data.store import Store
from headstart.features.backends import FLOAT32, Mode
from headstart.features.extract import extract
from headstart.features.probe import cosines
from headstart.linear.heads import Ridge
from headstart.modalities.image.read import read
from headstart.sources.access import EVERYTHING
from headstart.sources.load import load

RESULT = Path(__file__).parent / "results" / "precision.json"
SOURCES = ("wheel:efficientnet-lite0", "wheel:mobilenet-v2", "wheel:xception", "random:resnet50")
MODES = (
    *(Mode(exact=depth) for depth in range(4)),
    *(Mode(backend="openvino", exact=depth) for depth in (None, 0, 2, 3)),
    Mode(backend="compile", exact=0),
)  # fmt: skip


def main() -> None:
    """Compare and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=656)
    asked = parser.parse_args()
    data = read(lay_out(Path(".bench") / "elpv-0", 0), store=Store())
    data = data.take(np.linspace(0, len(data) - 1, asked.photos).astype(int))
    rows = []
    for name in SOURCES:
        source = load(name, EVERYTHING)
        stages = source.card.stage_names()
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))

            def features(mode: Mode, source=source, store=store) -> dict[str, np.ndarray]:
                table = extract([source], data, store, Silent(), {source.name: mode})
                return {stage: table.of(source.name, stage, data) for stage in source.card.stage_names()}

            wanted = features(FLOAT32)
            heads = {stage: Ridge.fit([wanted[stage]], data.targets, 2, None) for stage in stages}
            for mode in MODES:
                found = features(mode)
                every = [cosines(wanted[stage], found[stage]) for stage in stages]
                moved, differ = {}, {}
                for stage in (stages[len(stages) // 2], stages[-1]):
                    head = Ridge.fit([found[stage]], data.targets, 2, None)
                    before, after = (h.loo.argmax(axis=1) == data.targets for h in (heads[stage], head))
                    moved[stage], differ[stage] = float(after.mean() - before.mean()), int((before != after).sum())
                rows.append(
                    {
                        "source": name, "mode": str(mode), "photos": asked.photos,
                        "cosine": min(float(stage.mean()) for stage in every),
                        "worst": min(float(stage.min()) for stage in every),
                        "leave-one-out accuracy moved by": moved, "photos that differ": differ,
                    }
                )  # fmt: skip
                print(json.dumps(rows[-1]), flush=True)
        RESULT.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
