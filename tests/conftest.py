"""What every test shares: the hypothesis profiles, and the servers for object storage (tests/servers)."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers.fixtures"]

# Where the environment keeps bytecode from being written, every one of some hundred processes compiles what it imports
# again, and every worker rewrites the assertions of all tests: ten seconds each.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Deterministic: the same commit gives the same verdict everywhere, so nothing is remembered between runs either.
# Examples do input and output, so that the time of one says nothing.
COMMON = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("quick", max_examples=25, **COMMON)
settings.register_profile("soak", max_examples=1000, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage, of which there is none; what was made is left out of every later look.

    The first takes a fifth of collecting, the second a tenth of all tests. It is not disabled: dask remembers from its
    import whether it was, and leaves it so.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(0)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*thresholds)
