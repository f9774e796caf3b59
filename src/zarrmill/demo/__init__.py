"""The demo behind ``make demo`` and ``zarrmill demo``: real light curves, scaled up to a survey and rechunked."""

from __future__ import annotations

from zarrmill.demo.curves import CurveFigures
from zarrmill.demo.report import DemoReport, StoreFigures
from zarrmill.demo.show import EPOCHS, MAX_MEM, OBJECTS, SEED, run_demo

__all__ = ["EPOCHS", "MAX_MEM", "OBJECTS", "SEED", "CurveFigures", "DemoReport", "StoreFigures", "run_demo"]
