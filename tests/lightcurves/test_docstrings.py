"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "columns", "ingest_report", "keys", "light_curve", "light_curves", "match", "nearest", "optional", "photometry",
    "plot", "row_matching", "sky", "sky_match", "statistics", "tables",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    """Each module has one at least, and what it shows is so."""
    result = doctest.testmod(importlib.import_module(f"zarrmill.lightcurves.{name}"))

    assert result.attempted > 0
    assert result.failed == 0
