"""Libraries that only some light-curve work needs, loaded when that work is asked for."""

from __future__ import annotations

import importlib
from typing import Any

EXTRA = "lightcurves"
"""The extra of this package that installs them."""
NOT_IN_EXTRA = {"lightkurve": "lightkurve"}
"""Libraries too heavy for the extra, and what to install for them."""


def load(name: str) -> Any:
    """Return a module, imported now; raises ModuleNotFoundError, which names what to install.

    >>> load("json").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        library = name.split(".")[0]
        if (error.name or "").split(".")[0] != library:
            raise
        package = NOT_IN_EXTRA.get(library, f"zarrmill[{EXTRA}]")
        message = f"{library} is needed for this and is not installed. Run: pip install '{package}'"
        raise ModuleNotFoundError(message, name=error.name) from None
