"""Libraries that only some work with recordings needs, loaded when that work is asked for."""

from __future__ import annotations

import importlib
from typing import Any

EXTRA = "recordings"
"""The extra of this package that installs most of them."""


def load(name: str, *, extra: str = EXTRA) -> Any:
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
        message = f"{library} is needed for this and is not installed. Run: pip install 'zarrmill[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from None
