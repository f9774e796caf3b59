"""The picture of a light curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zarrmill.demo.macho import Curve, Star
from zarrmill.demo.picture import draw_light_curve, find_limits

TIME = np.arange(1000.0)


def make_star(magnitude: np.ndarray) -> Star:
    """Return a star with the same magnitudes in both bands."""
    curve = Curve(TIME, magnitude, np.full(len(TIME), 0.1))
    return Star("1.2.3", 75.0, -69.5, {"B": curve, "R": curve})


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    """A file that picture viewers open, and not an empty canvas."""
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    draw_light_curve(make_star(-6 + np.sin(TIME)), tmp_path / "curve.png")

    pixels = imread(tmp_path / "curve.png")
    assert pixels.shape[:2] == (540, 1080)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20


def test_brighter_is_up() -> None:
    """Magnitudes grow downwards: the faint end of the axis, the larger number, comes first."""
    faint, bright, _ = find_limits(make_star(np.linspace(-7, -5, 1000)))

    assert faint > -5 > -7 > bright


def test_outliers_are_counted_not_shown() -> None:
    """One wild point per band does not squeeze all others into a line."""
    magnitude = np.linspace(-6.1, -5.9, 1000)
    magnitude[0] = 40.0

    faint, bright, outside = find_limits(make_star(magnitude))

    assert outside == 2
    assert faint < 40
    assert bright < -6.0
