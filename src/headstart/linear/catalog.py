"""The closed-form estimators by name."""

from headstart.core.registry import Registry

ESTIMATORS = Registry(
    kind="closed-form estimator",
    builtin={
        "ridge": "headstart.linear.heads:Ridge",
        "kernel-ridge": "headstart.linear.heads:KernelRidge",
        "prototype": "headstart.linear.heads:Prototype",
        "majority": "headstart.linear.heads:Majority",
        "minirocket": "headstart.linear.minirocket:MiniRocket",
        "dtw": "headstart.linear.dtw:Dtw",
        "tf-idf": "headstart.linear.tf_idf:TfIdf",
    },
    group="headstart.estimators",
)
