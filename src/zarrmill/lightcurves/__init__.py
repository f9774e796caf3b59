"""Light curves: a survey written epoch by epoch, read object by object.

Public names are imported on first use, so that nothing that a program does not need is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarrmill.lightcurves.catalogue import Catalogue
    from zarrmill.lightcurves.light_curve import LightCurve, Status
    from zarrmill.lightcurves.light_curves import LightCurves
    from zarrmill.lightcurves.options import CreateOptions
    from zarrmill.lightcurves.photometry import Measurement
    from zarrmill.lightcurves.storage import LightcurveStorage

__all__ = [
    "Catalogue",
    "CreateOptions",
    "LightCurve",
    "LightCurves",
    "LightcurveStorage",
    "Measurement",
    "Status",
]

_HOMES = {
    "Catalogue": "catalogue",
    "CreateOptions": "options",
    "LightCurve": "light_curve",
    "LightCurves": "light_curves",
    "LightcurveStorage": "storage",
    "Measurement": "photometry",
    "Status": "light_curve",
}
"""The module that holds each public name."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
