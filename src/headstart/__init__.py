"""headstart: gives a model a head start, and shows with a control whether it helped.

    import headstart as hs
    result = hs.fit("photos/", minutes=10)
    print(result)

Names are loaded on first use: importing this package loads no framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.api import Result, advise, compare, fit, load, read, source
    from headstart.checkup import doctor
    from headstart.core.errors import HeadstartError, UserError
    from headstart.core.plan import Plan, Rule, Solve, Train
    from headstart.core.record import Record
    from headstart.exploring.run import explore
    from headstart.pretraining.run import pretrain
    from headstart.sources.access import Access

    __version__: str

_PUBLIC = {
    "fit": "headstart.api",
    "advise": "headstart.api",
    "compare": "headstart.api",
    "load": "headstart.api",
    "read": "headstart.api",
    "source": "headstart.api",
    "doctor": "headstart.checkup",
    "explore": "headstart.exploring.run",
    "pretrain": "headstart.pretraining.run",
    "Result": "headstart.api",
    "Record": "headstart.core.record",
    "Plan": "headstart.core.plan",
    "Rule": "headstart.core.plan",
    "Solve": "headstart.core.plan",
    "Train": "headstart.core.plan",
    "HeadstartError": "headstart.core.errors",
    "Access": "headstart.sources.access",
    "UserError": "headstart.core.errors",
}
__all__ = [
    "Access",
    "HeadstartError",
    "Plan",
    "Record",
    "Result",
    "Rule",
    "Solve",
    "Train",
    "UserError",
    "__version__",
    "advise",
    "compare",
    "doctor",
    "explore",
    "fit",
    "load",
    "pretrain",
    "read",
    "source",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("headstart")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
