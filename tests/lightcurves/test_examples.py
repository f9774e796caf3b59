"""The examples in the docstrings of light curves and of their commands run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import zarrmill.lightcurves

MODULES = [f"zarrmill.lightcurves.{found.name}" for found in pkgutil.iter_modules(zarrmill.lightcurves.__path__)]


@pytest.mark.parametrize("name", [*MODULES, "zarrmill.cli.curve_options"])
def test_examples(name: str) -> None:
    """What an example shows is what comes out."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
