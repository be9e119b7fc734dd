"""Optional packages, imported through one door that says what to install."""

import importlib
import importlib.util
from types import ModuleType

from headstart.core.errors import UserError


def require(package: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Raises:
        UserError: the package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise UserError(
            f"the package {package}", "an installation without it", f"Install it: pip install 'headstart[{extra}]'"
        ) from None


def installed(package: str) -> bool:
    """Whether an optional package is there, without importing it."""
    return importlib.util.find_spec(package) is not None
