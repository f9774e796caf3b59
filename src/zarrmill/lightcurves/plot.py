"""Pictures of light curves: values with errors and upper limits by band, over time or over phase, as PNG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import FLUX, LIMIT, LightCurve, Status, errors_of
from zarrmill.lightcurves.optional import load
from zarrmill.lightcurves.photometry import Measurement

COLORS = {
    "u": "#7b3fa0", "g": "#1b9e5a", "r": "#d1342f", "i": "#a3591c", "z": "#5c4a3d", "y": "#2b2b2b",
    "U": "#7b3fa0", "B": "#2166c4", "V": "#1b9e5a", "R": "#d1342f", "I": "#8c3b12",
}  # fmt: skip
"""Colour of the bands that everybody knows, from blue to red as their light is."""
OTHER_COLORS = ("#2166c4", "#e07b1a", "#1b9e5a", "#c2378f", "#7b3fa0", "#5c4a3d", "#2b9db8", "#d1342f")
"""Colours of other bands, in turn."""
MARKERS = "osD^pPX*"
"""Markers of the measurements of one band, in turn."""
INK, FAINT, PAPER = "#222222", "#d9d9d9", "#ffffff"
CUT = (0.5, 99.5)
"""Percentiles of the values between which the axis is stretched; what lies outside is counted."""
MARGIN = 0.08
"""Part of the range that is left free at either end."""
MANY = 300
"""Points beyond which they are drawn smaller and fainter."""
STYLE = {
    "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.linewidth": 0.8, "font.size": 11, "font.family": "DejaVu Sans",
    "xtick.color": INK, "ytick.color": INK, "xtick.direction": "in", "ytick.direction": "in", "ytick.right": True,
    "xtick.minor.visible": True, "ytick.minor.visible": True, "axes.grid": True, "grid.color": FAINT,
    "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False, "axes.titleweight": "bold",
    "axes.titlesize": 13,
}  # fmt: skip
Target = str | Path | BinaryIO | None
"""Where a picture is written: a file, something open, or nowhere."""


@dataclass(frozen=True, slots=True)
class PlotOptions:
    """What a picture looks like."""

    width: float = 9.0
    """Inches."""
    height: float = 4.8
    """Inches of one panel."""
    dpi: int = 140
    """Pixels of an inch."""
    title: str | None = None
    """Title; the key and the place of the object where none is given."""
    limits: bool = True
    """Whether upper limits of what was not detected are drawn."""
    everything: bool = False
    """Whether the axis shows every point, however wild."""


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """What is drawn of one measurement."""

    measurement: Measurement
    x: NDArray[np.float64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    x_limit: NDArray[np.float64]
    limit: NDArray[np.float64]


def plot_light_curve(lc: LightCurve, target: Target = None, *, options: PlotOptions = PlotOptions()) -> Any:
    """Draw a light curve over time, write it as PNG where a target is given, and return the matplotlib Figure.

    Measurements of different kind or unit have panels of their own; magnitudes grow downwards. Raises InvalidInputError
    where there is nothing to draw.
    """
    draw = _Drawing(lc, options, lc.time)
    return draw.finish(target, f"time (modified Julian date, {lc.scale.upper()})", dates=True)


def plot_folded(
    lc: LightCurve,
    target: Target = None,
    *,
    period: float,
    zero: float | None = None,
    options: PlotOptions = PlotOptions(),
) -> Any:
    """Draw a light curve over two turns of a period in days, counted from ``zero``, an MJD, or from its first point."""
    if not (math.isfinite(period) and period > 0):
        raise InvalidInputError(f"object {lc.key!r}: a period is above 0 days, not {period!r}. Give another.")
    known = lc.time[np.isfinite(lc.time) & lc.detected.any(axis=1)]
    zero = float(known.min(initial=np.inf)) if zero is None else zero
    phase = np.mod(lc.time - (zero if math.isfinite(zero) else 0.0), period) / period
    draw = _Drawing(lc, options, phase, turns=2)
    return draw.finish(target, f"phase (period {period:.6g} d, phase 0 at MJD {zero:.4f})")


class _Drawing:
    """A picture in the making: matplotlib's objects alone, nothing of pyplot's global state."""

    def __init__(self, lc: LightCurve, options: PlotOptions, x: NDArray[np.float64], turns: int = 1) -> None:
        self.lc, self.options, self.turns = lc, options, turns
        self.series = list(_find_series(lc, x, turns, limits=options.limits))
        if not self.series:
            raise InvalidInputError(f"object {lc.key!r}: no point was detected and none has a limit. Nothing to draw.")
        self.colors, self.markers = find_styles(lc.measurements)

    def finish(self, target: Target, label: str, *, dates: bool = False) -> Any:
        """Return the figure, drawn and written."""
        check_format(target)
        panels: dict[tuple[str, str], list[_Series]] = {}
        for each in self.series:
            panels.setdefault((each.measurement.kind, each.measurement.unit), []).append(each)
        options = self.options
        with load("matplotlib").rc_context(STYLE):
            size = (options.width, options.height * (1 if len(panels) == 1 else 0.75 * len(panels)))
            figure = load("matplotlib.figure").Figure(figsize=size, layout="constrained", facecolor=PAPER)
            canvas = load("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
            axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
            for panel, ((kind, unit), series) in zip(axes, panels.items(), strict=True):
                self._draw_panel(panel, kind, unit, series)
            axes[-1].set_xlabel(label)
            self._set_range(axes[-1])
            if dates:
                _add_dates(axes[0])
            axes[0].set_title(self._say_title(), loc="left", pad=10)
            if target is not None:
                canvas.print_figure(target, dpi=options.dpi, facecolor=PAPER)
        return figure

    def _draw_panel(self, axes: Any, kind: str, unit: str, series: Sequence[_Series]) -> None:
        for each in series:
            self._draw_series(axes, each)
        low, high, outside = find_range(series, cut=not self.options.everything)
        axes.set_ylim((high, low) if kind == "magnitude" else (low, high))
        name = "magnitude" if kind == "magnitude" else "flux"
        axes.set_ylabel(f"{name} ({unit})" if unit not in ("", "mag") else name)
        if outside := outside // self.turns:
            said = f"{outside} point{'s' if outside > 1 else ''} outside"
            place = {"transform": axes.transAxes, "ha": "left", "va": "bottom"}
            axes.text(1.012, 0.0, said.replace(" outside", "\noutside"), color="#777777", fontsize=9, **place)
        many = any(len(each.value) > MANY for each in series)
        axes.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2, handlelength=1.2, fontsize=10,
            markerscale=1.6 if many else 1.0, labelspacing=0.9,
        )  # fmt: skip

    def _draw_series(self, axes: Any, each: _Series) -> None:
        name = each.measurement.name
        color, marker = self.colors[name], self.markers[name]
        many = len(each.value) > MANY
        if len(each.value):
            # Apart, so that the errors of many points are a haze behind them.
            axes.errorbar(
                each.x, each.value, np.nan_to_num(each.error), fmt="none", ecolor=color, zorder=2,
                elinewidth=0.6 if many else 1.0, alpha=0.25 if many else 0.9,
            )  # fmt: skip
            axes.plot(
                each.x, each.value, linestyle="none", marker=marker, color=color, zorder=3,
                markersize=3.4 if many else 5.8, markeredgecolor=PAPER, markeredgewidth=0.3 if many else 0.6,
                alpha=0.75 if many else 0.95, label=self._say_label(each),
            )  # fmt: skip
        if len(each.limit):
            label = None if len(each.value) else self._say_label(each)
            axes.plot(
                each.x_limit, each.limit, linestyle="none", marker="v", markersize=5.5, markerfacecolor=PAPER,
                markeredgecolor=color, markeredgewidth=1.0, alpha=0.8, zorder=4, label=label,
            )  # fmt: skip

    def _say_label(self, each: _Series) -> str:
        points, limits = len(each.value) // self.turns, len(each.limit) // self.turns
        said = [f"{points} point{'' if points == 1 else 's'}"] if points or not limits else []
        said += [f"{limits} limit{'' if limits == 1 else 's'}"] if limits else []
        return f"{each.measurement.name}\n{', '.join(said)}"

    def _say_title(self) -> str:
        if self.options.title is not None:
            return self.options.title
        lc = self.lc
        place = f"   RA {lc.ra:.5f}°  Dec {lc.dec:+.5f}°" if math.isfinite(lc.ra) else ""
        return f"{lc.key}{place}"

    def _set_range(self, axes: Any) -> None:
        if self.turns > 1:
            axes.set_xlim(0, self.turns)
            return
        every = np.concatenate([np.concatenate([each.x, each.x_limit]) for each in self.series])
        margin = 0.02 * float(np.ptp(every)) or 0.5
        axes.set_xlim(every.min() - margin, every.max() + margin)
        axes.ticklabel_format(axis="x", useOffset=False, style="plain")


def check_format(target: Target) -> None:
    """Raise InvalidInputError for a file whose name is of no kind of picture."""
    if not isinstance(target, str | Path):
        return
    known = load("matplotlib.backends.backend_agg").FigureCanvasAgg.get_supported_filetypes()
    ending = Path(target).suffix.lower().removeprefix(".")
    if ending and ending not in known:
        raise InvalidInputError(f"{target}: {ending!r} is no kind of picture. Let the name end in .png, .pdf or .svg.")


def _find_series(lc: LightCurve, x: NDArray[np.float64], turns: int, *, limits: bool) -> Iterator[_Series]:
    """Yield what there is to draw of each measurement, repeated for each turn."""
    for i, m in enumerate(lc.measurements):
        there = lc.detected[:, i] & np.isfinite(x)
        limit = np.asarray(lc.arrays.get(LIMIT, lc[FLUX])[:, i], dtype=np.float64)
        below = (lc.status[:, i] == Status.NOT_DETECTED) & np.isfinite(limit) & np.isfinite(x) & limits
        if not there.any() and not below.any():
            continue
        value, error = (np.tile(np.asarray(a[there, i], np.float64), turns) for a in (lc[FLUX], errors_of(lc.arrays)))
        places = [np.concatenate([x[mask] + turn for turn in range(turns)]) for mask in (there, below)]
        yield _Series(m, places[0], value, error, places[1], np.tile(limit[below], turns))


def find_styles(measurements: Sequence[Measurement]) -> tuple[dict[str, str], dict[str, str]]:
    """Return a colour and a marker for each measurement: one colour per band, a marker for each of its measurements.

    >>> colors, markers = find_styles([Measurement("g"), Measurement("g2", "g"), Measurement("x")])
    >>> colors["g"] == colors["g2"] != colors["x"], markers["g"] != markers["g2"]
    (True, True)
    """
    known = {m.band: COLORS[m.band] for m in measurements if m.band in COLORS}
    free = [color for color in OTHER_COLORS if color not in known.values()]
    others = [band for band in dict.fromkeys(m.band for m in measurements) if band not in known]
    by_band = known | {band: free[i % len(free)] for i, band in enumerate(others)}
    seen: dict[str, int] = {}
    markers = {}
    for m in measurements:
        markers[m.name] = MARKERS[seen.get(m.band, 0) % len(MARKERS)]
        seen[m.band] = seen.get(m.band, 0) + 1
    return {m.name: by_band[m.band] for m in measurements}, markers


def find_range(series: Sequence[_Series], *, cut: bool) -> tuple[float, float, int]:
    """Return the ends of the axis of values, and how many points lie outside."""
    values = np.concatenate([each.value for each in series])
    limits = np.concatenate([each.limit for each in series])
    shown = values if len(values) else limits
    low, high = np.percentile(shown, CUT) if cut and len(shown) > 1 / (1 - CUT[1] / 100) else (shown.min(), shown.max())
    errors = np.concatenate([each.error for each in series])
    typical = float(np.nanmedian(errors)) if np.isfinite(errors).any() else 0.0
    if len(limits):
        near = np.percentile(limits, (5, 95))
        low, high = min(low, near[0]), max(high, near[1])
    margin = max(MARGIN * float(high - low), 1.5 * typical) or abs(float(high)) * MARGIN or 1.0
    outside = int(((values < low - margin) | (values > high + margin)).sum())
    return float(low - margin), float(high + margin), outside


def _add_dates(axes: Any) -> None:
    """Put calendar dates above the axis of modified Julian dates."""
    dates = load("matplotlib.dates")
    # Matplotlib counts days from 1970 unless told otherwise, which is a setting of the user.
    zero = 40_587.0 + dates.date2num(np.datetime64("1970-01-01"))
    above = axes.secondary_xaxis("top", functions=(lambda x: x - zero, lambda x: x + zero))
    locator = dates.AutoDateLocator(minticks=3, maxticks=7)
    above.xaxis.set_major_locator(locator)
    above.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    above.minorticks_off()
    above.tick_params(labelsize=9, colors="#777777", direction="in")
