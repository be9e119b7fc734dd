"""Every strategy by its canonical name. A new one is a file and a line here."""

import hashlib
from collections.abc import Callable

from headstart.core.plan import Plan
from headstart.core.registry import Registry

STRATEGIES = Registry(
    kind="strategy",
    builtin={
        "zero-shot": "headstart.strategies.inductive.zero_shot:zero_shot",
        "linear": "headstart.strategies.inductive.linear:linear",
        "prototype": "headstart.strategies.inductive.prototype:prototype",
        "earlier": "headstart.strategies.inductive.earlier:earlier",
        "all-stages": "headstart.strategies.inductive.all_stages:all_stages",
        "experts": "headstart.strategies.inductive.experts:experts",
        "lp-ft": "headstart.strategies.inductive.lp_ft:lp_ft",
        "finetune": "headstart.strategies.inductive.finetune:finetune",
        "mlp-head": "headstart.strategies.inductive.mlp_head:mlp_head",
        "partial": "headstart.strategies.inductive.partial:partial",
        "gradual": "headstart.strategies.inductive.gradual:gradual",
        "first-block": "headstart.strategies.inductive.first_block:first_block",
        "norm-only": "headstart.strategies.inductive.norm_only:norm_only",
        "l2-sp": "headstart.strategies.inductive.l2_sp:l2_sp",
        "lora": "headstart.strategies.inductive.lora:lora",
        "contrastive": "headstart.strategies.inductive.contrastive:contrastive",
        "shrunk": "headstart.strategies.inductive.shrunk:shrunk",
        "pooled": "headstart.strategies.inductive.pooled:pooled",
        "co-tuning": "headstart.strategies.inductive.co_tuning:co_tuning",
    },
    group="headstart.strategies",
)

# Who competes when nobody is named. Every further arm that trains takes minutes from those that are here. Prototypes
# were 0.3 to 34 points below all stages together in each cell of benchmarks/bench_selector.py, but with two labels a
# class, where a fold leaves one, they can win by luck.
DEFAULT = ("zero-shot", "linear", "earlier", "all-stages", "experts", "lp-ft", "finetune")

CONTROLS = Registry(
    kind="control",
    builtin={
        "majority": "headstart.strategies.controls:majority",
        "raw": "headstart.strategies.controls:raw",
        "tf-idf": "headstart.strategies.controls:tf_idf",
        "boosting": "headstart.strategies.controls:boosting",
        "minirocket": "headstart.strategies.controls:minirocket",
        "dtw": "headstart.strategies.controls:dtw",
        "random-features": "headstart.strategies.controls:random_features",
        "scratch": "headstart.strategies.controls:scratch",
        "scratch-twin": "headstart.strategies.controls:scratch_twin",
    },
    group="headstart.controls",
)


def fingerprint() -> str:
    """sha256 of the plans of all built-in strategies and controls, as they stand in this version."""
    text = "\n".join(plan(name).to_json() for name in (*STRATEGIES.builtin, *CONTROLS.builtin))
    return hashlib.sha256(text.encode()).hexdigest()


def plan(name: str) -> Plan:
    """The plan of a strategy or a control.

    Raises:
        UserError: the name is unknown; near names are offered.
    """
    registry = CONTROLS if name in CONTROLS.builtin else STRATEGIES
    make: Callable[[], Plan] = registry.load(name)
    return make()
