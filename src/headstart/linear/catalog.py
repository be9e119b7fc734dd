"""The closed-form estimators by name."""

from headstart.core.registry import Registry

ESTIMATORS = Registry(
    kind="closed-form estimator",
    builtin={
        "ridge": "headstart.linear.heads:Ridge",
        "kernel-ridge": "headstart.linear.heads:KernelRidge",
        "prototype": "headstart.linear.heads:Prototype",
        "majority": "headstart.linear.heads:Majority",
        "boosting": "headstart.linear.boosting:Boosting",
        "shrunk-ridge": "headstart.linear.shrunk:ShrunkRidge",
        "pooled": "headstart.linear.pooled:Pooled",
        "minirocket": "headstart.linear.minirocket:MiniRocket",
        "dtw": "headstart.linear.dtw:Dtw",
        "tf-idf": "headstart.linear.tf_idf:TfIdf",
    },
    group="headstart.estimators",
)
