"""Few labelled texts: what the shipped tier 0 delivers, beside TF-IDF as people write it, and SetFit's quick start.

    .venv/bin/python benchmarks/bench_text.py [--draws 10] [--sets tweets r8 amazon] [--setfit]

In every draw 8 or 64 texts of each class are labelled (all that there are, where a class has fewer); the rest, at most
2,000, says what is true. headstart sees the two packaged encoders, chooses layer, source and penalty inside the
labelled texts, and delivers what its rule says; no net is trained. Beside it: every arm; scikit-learn's
TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True) with LogisticRegression(C=10); and, with --setfit, the shipped
strategy `contrastive`, and SetFit as its quick start runs it (Tunstall et al. 2022, arXiv 2209.11055): the same
encoder, all pairs once, the rarer kind of pair repeated, cosine loss, AdamW at 2e-5, batches of 16 pairs, then logistic
regression on unit-length means. SetFit's recipe is written out here, on this library's encoder and front; its package
is not run.

Differences are paired over draws. What the result has is not run again.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from text_sets import SETS
from torch.nn import functional

from headstart.advisor.arms import Arms, arms, strategies
from headstart.advisor.budget import wish
from headstart.advisor.ladder import Bench, tier0
from headstart.advisor.ledger import Done
from headstart.core.predictions import Ints
from headstart.core.problem import Task
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.store import Store
from headstart.evaluation.delivery import decide
from headstart.evaluation.folds import OutOfFold, fold_maps
from headstart.evaluation.verdict import compare
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.metrics.scores import metric
from headstart.modalities.text.modality import TEXT
from headstart.modalities.text.read import read_inputs
from headstart.modalities.text.reader import TextReader
from headstart.sources.load import load
from headstart.sources.source import Source
from headstart.strategies.catalog import plan
from headstart.training.plan_learner import PlanLearner

RESULT = Path(__file__).parent / "results" / "text.json"
POOL = 2000
EACH = (8, 64)
Row = dict[str, object]


class Memory:
    """No ledger on disk: a draw is done as a whole or not at all."""

    def get(self, name: str) -> None:
        """Nothing is known."""

    def put(self, name: str, done: Done) -> None:
        """Nothing is kept."""

    def workspace(self, name: str) -> Path:
        """Closed forms need none."""
        return Path(name)


def whole(name: str, limit: int = 6000) -> Dataset:
    """A set without copies; of a large one some, evenly spaced."""
    texts, labels = SETS[name]()
    first = {text: at for at, text in reversed(list(enumerate(texts))) if text.strip()}
    kept = sorted(first.values())
    kept = [kept[i] for i in np.linspace(0, len(kept) - 1, min(len(kept), limit)).astype(int)]
    classes = tuple(sorted(set(labels)))
    data = read_inputs([texts[i] for i in kept], Task("label", "classification", classes))
    return replace(data, targets=np.array([classes.index(labels[i]) for i in kept]))


def drawn(data: Dataset, each: int, seed: int) -> tuple[Dataset, Dataset]:
    """The labelled texts and the rest."""
    order = np.random.default_rng([seed, each]).permutation(len(data))
    few = np.concatenate([order[data.targets[order] == code][:each] for code in range(data.task.outputs)])
    rest = np.setdiff1d(order, few, assume_unique=True)
    rest = np.random.default_rng(seed).permutation(rest)[:POOL]
    few, rest = data.take(np.sort(few)), data.take(np.sort(rest))
    return replace(few, groups=np.arange(len(few))), rest


def competitors(sources: Mapping[str, Source], task: Task, store: Store) -> Arms:
    """The closed forms of a run, and the controls."""
    return arms(
        strategies(()), sources=sources, modality=TEXT, untrained={n: load(n) for n in TEXT.untrained},
        task=task, stage=None, store=store,
    )  # fmt: skip


def shipped(
    few: Dataset, rest: Dataset, found: Arms, features: FeatureTable, seed: int
) -> tuple[dict[str, float], Row]:
    """Accuracy of every closed form on the rest, and what the shipped rule delivers."""
    started = time.perf_counter()
    maps = fold_maps(few.targets, few.groups, seed)
    oof = OutOfFold(maps, few.task.outputs)
    tier0(Bench(few, None, maps, features, Memory(), Silent(), seed), found.closed, oof)  # type: ignore[arg-type]
    roles = {one.name: one.role for one in found.closed}
    judged = compare(roles, oof, few.targets, few.groups, metric("accuracy"), seed)
    assert judged is not None
    decision = decide(judged, "auto")
    seconds = time.perf_counter() - started
    right: dict[str, float] = {}
    stages: tuple[str, ...] = ()
    for one in found.closed:
        fitted = one.fit(few, seed=seed, features=features)
        right[one.name] = accuracy(fitted.predict(rest, features).probabilities.argmax(axis=1), rest.targets)
        stages = fitted.stages if one.name == decision.delivered else stages
    facts: Row = {"delivered": decision.delivered, "claim": judged.claim, "transfer": judged.transfer}
    return right, facts | {"control": judged.control, "stages": list(stages), "seconds of tier 0": seconds}


def accuracy(said: Ints, truth: Ints) -> float:
    """In points."""
    return round(100 * float((said == truth).mean()), 2)


def usual(few: Dataset, rest: Dataset) -> float:
    """TF-IDF and logistic regression, as people write it."""
    pipe = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    pipe.fit([item.content for item in few.items], few.targets)
    return accuracy(pipe.predict([item.content for item in rest.items]), rest.targets)


def setfit(few: Dataset, rest: Dataset, source: Source, seed: int) -> tuple[float, float]:
    """Accuracy and seconds of SetFit's quick start."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    net = source.net(few.task.outputs).train()
    left, right, same = pairs(few.targets, seed)
    rows = torch.from_numpy(np.stack([TEXT.prepare(item, source.input) for item in few.items]))  # type: ignore[arg-type]
    optimiser = torch.optim.AdamW(net.trunk.parameters(), 2e-5)
    for at in range(0, len(left), 16):
        both = torch.cat([rows[left[at : at + 16]], rows[right[at : at + 16]]])
        one, other = net.features(both).chunk(2)
        loss = functional.mse_loss(functional.cosine_similarity(one, other), torch.from_numpy(same[at : at + 16]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    head = LogisticRegression(max_iter=1000).fit(embedded(net, few, source), few.targets)
    seconds = time.perf_counter() - started
    return accuracy(head.predict(embedded(net, rest, source)), rest.targets), seconds


def contrastive(
    few: Dataset, rest: Dataset, sources: Mapping[str, Source], features: FeatureTable, seed: int, store: Store
) -> tuple[float, float]:
    """Accuracy and seconds of the shipped strategy, on the encoder that SetFit has."""
    started = time.perf_counter()
    name = TextReader.sources[0]
    learner = PlanLearner("contrastive", "transfer", plan("contrastive"), {name: sources[name]}, store)
    learner = replace(learner, plan=learner.plan.resolve(epochs=wish(learner, len(few)).wanted, lr=1e-4))
    fitted = learner.fit(few, seed=seed, features=features)
    seconds = time.perf_counter() - started
    return accuracy(fitted.predict(rest, features).probabilities.argmax(axis=1), rest.targets), seconds


def pairs(targets: Ints, seed: int) -> tuple[Ints, Ints, np.ndarray]:
    """All unordered pairs once, the rarer kind repeated until both are as many, shuffled."""
    every = np.array(list(combinations(range(len(targets)), 2)))
    alike = targets[every[:, 0]] == targets[every[:, 1]]
    most = max(alike.sum(), (~alike).sum())
    chosen = np.concatenate([np.resize(np.flatnonzero(kind), most) for kind in (alike, ~alike)])
    chosen = np.random.default_rng(seed).permutation(chosen)
    return every[chosen, 0], every[chosen, 1], alike[chosen].astype(np.float32)


def embedded(net: torch.nn.Module, data: Dataset, source: Source) -> np.ndarray:
    """(n, D) unit-length features."""
    net.eval()
    order = np.argsort([len(item.content) for item in data.items])
    out = np.empty((len(data), source.card.features), dtype=np.float32)
    with torch.inference_mode():
        for at in range(0, len(order), 32):
            part = order[at : at + 32]
            rows = torch.from_numpy(np.stack([TEXT.prepare(data.items[i], source.input) for i in part]))  # type: ignore[arg-type]
            out[part] = functional.normalize(net.features(rows)).numpy()
    return out


def summary(rows: Sequence[Row]) -> list[Row]:
    """For every set and size: mean accuracies, and the delivered arm's paired differences with 90 % intervals."""
    found: list[Row] = []
    for name in SETS:
        for each in EACH:
            mine = [row for row in rows if (row["set"], row["each"]) == (name, each)]
            if not mine:
                continue
            arms_ = mine[0]["accuracy"]
            assert isinstance(arms_, dict)
            table = {arm: np.array([row["accuracy"][arm] for row in mine]) for arm in arms_}  # type: ignore[index]
            ours = np.array([row["accuracy"][row["delivered"]] for row in mine])  # type: ignore[index]
            line: Row = {"set": name, "each": each, "draws": len(mine), "delivered": round(float(ours.mean()), 2)}
            line |= {arm: round(float(values.mean()), 2) for arm, values in table.items()}
            line["delivered arms"] = sorted({str(row["delivered"]) for row in mine})
            line["claims"] = {c: sum(row["claim"] == c for row in mine) for c in ("helped", "undecided", "hurt")}
            line |= {f"delivered - {rival}": interval(ours - table[rival]) for rival in ("tf-idf", "usual", "linear")}
            with_setfit = [row for row in mine if "setfit" in row]
            if with_setfit:
                gap = [row["accuracy"][row["delivered"]] - row["setfit"] for row in with_setfit]  # type: ignore[index,operator]
                line["delivered - setfit"] = interval(np.array(gap))
                own = [row for row in with_setfit if "contrastive" in row]
                if own:
                    line["contrastive"] = round(float(np.mean([row["contrastive"] for row in own])), 2)  # type: ignore[misc]
                    line["seconds of contrastive"] = round(
                        float(np.mean([row["seconds of contrastive"] for row in own])), 1
                    )  # type: ignore[misc]
                    ahead = [row["contrastive"] - row["setfit"] for row in own]  # type: ignore[operator]
                    line["contrastive - setfit"] = interval(np.array(ahead))
                line["setfit"] = round(float(np.mean([row["setfit"] for row in with_setfit])), 2)  # type: ignore[misc]
                line["seconds of setfit"] = round(float(np.mean([row["seconds of setfit"] for row in with_setfit])), 1)  # type: ignore[misc]
            line["seconds of tier 0"] = round(float(np.mean([row["seconds of tier 0"] for row in mine])), 1)  # type: ignore[misc]
            found.append(line)
    return found


def interval(values: np.ndarray) -> list[float]:
    """Mean with its 90 % bootstrap interval over draws."""
    means = np.random.default_rng(0).choice(values, (4000, len(values))).mean(axis=1)
    return [round(float(v), 2) for v in (values.mean(), *np.quantile(means, [0.05, 0.95]))]


def main() -> None:
    """Run what is not there yet, sum up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--setfit", action="store_true", help="also SetFit, with 8 labels a class")
    asked, store = parser.parse_args(), Store()
    torch.set_num_threads(1)
    rows: list[Row] = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    sources = {name: load(name) for name in TextReader.sources}
    for name in asked.sets:
        data = whole(name)
        tapped = [TEXT.baseline, *TEXT.controls.values(), load(TEXT.untrained[0]), *sources.values()]
        started = time.perf_counter()
        features = extract(tapped, data, store, Silent())
        print(name, len(data), f"features {time.perf_counter() - started:.0f} s", flush=True)
        found = competitors(sources, data.task, store)
        for each, seed in ((each, seed) for seed in range(asked.draws) for each in EACH):
            row = next((r for r in rows if (r["set"], r["each"], r["seed"]) == (name, each, seed)), None)
            few, rest = drawn(data, each, seed)
            if row is None:
                right, facts = shipped(few, rest, found, features, seed)
                row = {"set": name, "each": each, "seed": seed, "n": len(few)} | facts
                row["accuracy"] = right | {"usual": usual(few, rest)}
                rows.append(row)
            if asked.setfit and each == EACH[0] and "contrastive" not in row:
                row["contrastive"], row["seconds of contrastive"] = contrastive(
                    few, rest, sources, features, seed, store
                )
            if asked.setfit and each == EACH[0] and "setfit" not in row:
                row["setfit"], row["seconds of setfit"] = setfit(few, rest, sources[TextReader.sources[0]], seed)
            RESULT.write_text(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) + "\n")
            print(name, each, seed, row["delivered"], row["accuracy"], row.get("setfit"), flush=True)
    for line in summary(rows):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
