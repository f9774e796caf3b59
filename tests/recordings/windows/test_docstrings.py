"""Examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

from zarrmill.recordings import windows

MODULES = [found.name for found in pkgutil.iter_modules(windows.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """Every example gives what it says."""
    module = importlib.import_module(f"zarrmill.recordings.windows.{name}")

    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
