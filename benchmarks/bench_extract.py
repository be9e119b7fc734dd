"""Files to features: headstart's engine beside the plain loop that a user would write, on this machine.

    .venv/bin/python benchmarks/bench_extract.py [--runs 5] [--only elpv-lite0]

The plain loop is a `DataLoader` over PIL and timm's own transform, and the net in eager float32; once as it is, once
with glibc told to keep big blocks. Every run is a process of its own that works through two numbers of files; the rate
is the slope between them, so that start-up does not count. The runs of the sides alternate.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from elpv_data import lay_out
from PIL import Image

RESULT = Path(__file__).parent / "results" / "extract.json"
TUNED = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
WORKERS = 2
CASES = {  # case: (files, source, two numbers of files)
    "elpv-lite0": ("elpv", "wheel:efficientnet-lite0", (128, 640)),
    "jpeg-lite0": ("jpeg", "wheel:efficientnet-lite0", (128, 640)),
    "elpv-resnet50": ("elpv", "random:resnet50", (64, 256)),
    "jpeg-resnet50": ("jpeg", "random:resnet50", (64, 256)),
}
JPEGS, SIDES = 10_000, (640, 480)


def jpegs(root: Path) -> Path:
    """10,000 different pictures of 640 x 480: smooth noise, so that they are as large as photos are (some 60 kB)."""
    if len(list(root.glob("*/*.jpg"))) == JPEGS:
        return root
    for name in ("a", "b"):
        (root / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for at in range(JPEGS):
        coarse = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(SIDES, Image.Resampling.BICUBIC)
        grain = rng.integers(0, 24, (SIDES[1], SIDES[0], 1), dtype=np.uint8)
        noisy = Image.fromarray(np.clip(np.asarray(picture, np.int16) + grain, 0, 255).astype(np.uint8))
        noisy.save(root / "ab"[at % 2] / f"{at:05}.jpg", quality=88)
    return root


def files(kind: str, bench: Path) -> Path:
    """The folder of pictures, made if it is not there."""
    return lay_out(bench / "elpv-0", 0) if kind == "elpv" else jpegs(bench / "jpegs")


def spread(paths: list[Path], count: int, offset: int) -> list[Path]:
    """So many different files, evenly over all."""
    return [paths[(i * len(paths)) // count + offset] for i in range(count)]


def plain(source: str, paths: list[Path], counts: tuple[int, int]) -> list[float]:
    """Seconds for both numbers of files with the usual loop."""
    import torch
    from timm.data import create_transform
    from torch.utils.data import DataLoader, Dataset

    from headstart.sources.access import EVERYTHING
    from headstart.sources.load import load

    taken = load(source, EVERYTHING)
    model, size = taken.model.eval(), taken.input
    transform = create_transform(
        (3, size.size, size.size), mean=size.mean, std=size.std, crop_pct=size.crop, interpolation=size.interpolation
    )
    model = model.to(memory_format=torch.contiguous_format)

    class Files(Dataset[torch.Tensor]):
        def __init__(self, paths: list[Path]) -> None:
            self.paths = paths

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, at: int) -> torch.Tensor:
            return transform(Image.open(self.paths[at]).convert("RGB"))

    def run(chosen: list[Path]) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            for batch in DataLoader(Files(chosen), batch_size=32, num_workers=WORKERS):
                model.forward_head(model.forward_features(batch), pre_logits=True)
        return time.perf_counter() - started

    run(spread(paths, 64, 0))
    return [run(spread(paths, count, 1)) for count in counts]


def ours(source: str, folder: Path, counts: tuple[int, int]) -> dict[str, object]:
    """Seconds for both numbers of files with the engine, which thinks that all files of the folder are to come."""
    from headstart.core.progress import Silent
    from headstart.data.store import Store
    from headstart.features.engine import choose, machine
    from headstart.features.extract import extract
    from headstart.modalities.image.read import read
    from headstart.sources.access import EVERYTHING
    from headstart.sources.load import load

    taken = load(source, EVERYTHING)
    kept = Store()
    data = read(folder, store=kept)
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch))
        known = kept.notes("engine").get(f"{machine()} {taken.identity}")
        store.notes("engine").put({} if known is None else {f"{machine()} {taken.identity}": known})
        (Path(scratch) / "converted").symlink_to(kept.root / "converted")
        (kept.root / "converted").mkdir(exist_ok=True)
        started = time.perf_counter()
        mode = choose(taken, data, store, Silent())
        chosen = time.perf_counter() - started
        costs = store.notes("engine").get(f"{machine()} {taken.identity}")
        kept.notes("engine").put({f"{machine()} {taken.identity}": costs})
        seconds = []
        for count in counts:
            part = data.take(np.array([(i * len(data)) // count + 1 for i in range(count)]))
            fresh = Store(Path(scratch) / str(count))
            fresh.root.mkdir()
            (fresh.root / "converted").symlink_to(kept.root / "converted")
            started = time.perf_counter()
            extract([taken], part, fresh, Silent(), {taken.name: mode})
            seconds.append(time.perf_counter() - started)
            if count == counts[1]:
                again = time.perf_counter()
                second = Store(fresh.root)
                extract([taken], part, second, Silent(), {taken.name: mode})
                cached = {"seconds": time.perf_counter() - again, "decoded": second.counters["decoded"]}
        return {"seconds": seconds, "mode": str(mode), "choosing": chosen, "second run": cached}


def decoding(source: str, folder: Path, count: int) -> float:
    """Pictures a second that are decoded and prepared, nothing else."""
    from headstart.data.store import Store
    from headstart.features.decode import batches
    from headstart.modalities.image.read import read
    from headstart.sources.access import EVERYTHING
    from headstart.sources.load import load

    taken, store = load(source, EVERYTHING), Store()
    data = read(folder, store=store)
    items = data.take(np.array([(i * len(data)) // count for i in range(count)])).items
    started = time.perf_counter()
    for _ in batches(items, 32, data.modality, [taken.input], store):
        pass
    return count / (time.perf_counter() - started)


def arithmetic() -> dict[str, float]:
    """The best measured rates of this machine, in TFLOP/s: a large matrix product and a 3 x 3 convolution."""
    import torch

    found = {}
    for kind in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(2048, 2048).to(kind) for _ in range(2))
        conv = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False).to(kind).to(memory_format=torch.channels_last)
        x = torch.randn(16, 256, 28, 28).to(kind).to(memory_format=torch.channels_last)
        work = {
            "product": (partial(torch.matmul, a, b), 2 * 2048**3),
            "convolution": (partial(conv, x), 2 * 16 * 28**2 * 256**2 * 9),
        }
        with torch.inference_mode():
            for name, (run, flops) in work.items():
                found[f"{name} {str(kind).removeprefix('torch.')}"] = flops / quickest(run) / 1e12
    return found


def quickest(run: Callable[[], object]) -> float:
    """Seconds of the best of a dozen."""
    seconds: list[float] = []
    for _ in range(12):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def child(what: str, case: str, tuned: bool) -> dict[str, object]:
    """One run in a process of its own."""
    environment = {**os.environ, **(TUNED if tuned else {})}
    said = subprocess.run(
        [sys.executable, __file__, "--child", what, "--only", case],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(said.stdout.splitlines()[-1])


def run_child(what: str, case: str) -> dict[str, object]:
    """What a child prints."""
    kind, source, counts = CASES[case]
    folder = files(kind, Path(".bench"))
    if what == "decode":
        return {"rate": decoding(source, folder, 1000)}
    if what == "arithmetic":
        return dict(arithmetic())
    if what == "ours":
        return ours(source, folder, counts)
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg"))
    return {"seconds": plain(source, paths, counts)}


def slope(found: dict[str, object], counts: tuple[int, int]) -> float:
    """Images a second between two numbers of files."""
    less, more = found["seconds"]  # type: ignore[misc]
    return (counts[1] - counts[0]) / (more - less)


def measure(case: str, runs: int) -> dict[str, object]:
    """All sides of a case, alternating."""
    counts = CASES[case][2]
    sides = {"plain": ("plain", False), "plain, tuned allocator": ("plain", True), "headstart": ("ours", False)}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    said: dict[str, object] = {}
    for _ in range(runs):
        for name, (what, tuned) in sides.items():
            found = child(what, case, tuned)
            rates[name].append(slope(found, counts))
            if what == "ours":
                said = {
                    **{k: v for k, v in found.items() if k != "seconds"},
                    "first choosing": said.get("first choosing", found["choosing"]),
                }
                cached = found["second run"]
                said["second run, times as fast"] = found["seconds"][1] / cached["seconds"]  # type: ignore[index]
    best = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "source": CASES[case][1], "files": CASES[case][0], "between": counts,
        "images a second": best, "all runs": rates,
        "over plain": best["headstart"] / best["plain"],
        "over tuned": best["headstart"] / best["plain, tuned allocator"],
        "decode only, images a second": child("decode", case, False)["rate"], **said,
    }  # fmt: skip


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=list(CASES))
    parser.add_argument("--child", choices=["plain", "ours", "decode", "arithmetic"])
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(run_child(asked.child, asked.only)))
        return
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found["TFLOP/s"] = child("arithmetic", "elpv-lite0", False)
    for case in [asked.only] if asked.only else CASES:
        found[case] = measure(case, asked.runs)
        RESULT.write_text(json.dumps(found, indent=1))
        print(json.dumps({case: {k: v for k, v in found[case].items() if k != "all runs"}}, indent=1), flush=True)


if __name__ == "__main__":
    main()
