"""A picture of one light curve: measurements with their errors, brighter is up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zarrmill.demo.macho import Star

COLORS = {"B": "tab:blue", "R": "tab:red"}
"""Colour by band."""
CUT = (0.5, 99.5)
"""Percentiles of the magnitudes between which the axis is stretched; what lies outside is counted."""


def draw_light_curve(star: Star, path: Path) -> None:
    """Write a PNG of the real light curves of a star in all its bands.

    Raises ModuleNotFoundError without matplotlib, which the ``demo`` extra installs.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for band, curve in star.curves.items():
        axes.errorbar(
            curve.time,
            curve.magnitude,
            curve.error,
            fmt=".",
            markersize=3,
            elinewidth=0.5,
            color=COLORS[band],
            alpha=0.6,
            label=f"{band} ({len(curve)} points)",
        )
    faint, bright, left_out = find_limits(star)
    axes.set_ylim(faint, bright)
    axes.set_xlabel("time (modified Julian date, days)")
    axes.set_ylabel("instrumental magnitude (brighter is up)")
    axes.set_title(
        f"MACHO {star.name}, RA {star.ra:.4f}°, Dec {star.dec:.4f}°"
        + (f"; {left_out} points outside" if left_out else "")
    )
    axes.legend(loc="best")
    FigureCanvasAgg(figure).print_figure(path, dpi=120)


def find_limits(star: Star) -> tuple[float, float, int]:
    """Return the faint and the bright end of the magnitude axis, and how many points lie outside."""
    values = np.concatenate([curve.magnitude for curve in star.curves.values()])
    bright, faint = np.percentile(values, CUT)
    margin = 0.1 * (faint - bright) + 0.01
    outside = int(((values > faint + margin) | (values < bright - margin)).sum())
    return float(faint + margin), float(bright - margin), outside
