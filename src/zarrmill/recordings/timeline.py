"""A picture of a session in time: tasks, elements, segments, pauses, and what its devices cover with their gaps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.exports.publish import publish_file
from zarrmill.recordings.exports.rows import ExportRow, ExportRows, make_rows
from zarrmill.recordings.optional import load
from zarrmill.recordings.session_timeline import SessionTimeline, open_timeline
from zarrmill.recordings.timestamps import is_usual
from zarrmill.recordings.windows.coverage import Stretch
from zarrmill.recordings.windows.validity_lanes import NAMES, ValidityLane, draw_validity, find_validity_lanes

COLORS = {"task": "#2166c4", "element": "#1b9e5a", "pause": "#e07b1a", "device": "#5c4a3d", "gap": "#d1342f"}
"""Colour of what is drawn; other segments take turns in ``SEGMENT_COLORS``."""
SEGMENT_COLORS = ("#7b3fa0", "#2b9db8", "#c2378f", "#a3591c")
PAUSE = "pause"
"""Segments of this type are shaded through all lanes."""
INK, PAPER = "#222222", "#ffffff"
HEIGHT = 0.62
"""Part of its lane that a bar fills."""
MINUTES_FROM = 180.0
"""Seconds of a session from which on the axis shows minutes."""
SIZE, LANE_INCHES, DPI = (11.0, 1.1), 0.42, 140


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """One line of the picture."""

    name: str
    """What it shows."""
    color: str
    """Its colour."""
    bars: NDArray[np.float64]
    """(bars, 2) start and length in seconds."""
    instants: NDArray[np.float64]
    """Starts of what has no end."""
    gaps: NDArray[np.float64]
    """(gaps, 2) start and length of what is missing in a device."""
    odd: int = 0
    """Rows that are left out, for their times are decades from those of the others."""


def plot_timeline(
    source: str | os.PathLike[str] | SessionTimeline,
    target: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    windows: Sequence[Stretch] = (),
    overwrite: bool = True,
) -> Any:
    """Draw a session, write it as PNG where a target is given, and return the matplotlib Figure.

    ``source`` is a curated file, an event store (which knows no devices), or what ``open_timeline`` returned. Neither
    ids nor texts are shown, but for the title. ``windows`` are stretches of windows, as ``open_stretches`` returns
    them: a lane per device tells which are valid, and why others are not. Time counts from the start of the session,
    or from its first event where no start is known; what lies before 2000 or after 2100, while other rows do not, is
    counted and left out. Raises InvalidInputError where nothing has a time, and for a target that is not named as a
    PNG.
    """
    if target is not None and Path(target).suffix.lower() != ".png":
        raise InvalidInputError(f"{Path(target).name} is no name of a PNG. Let it end in .png.")
    timeline = open_timeline(source)
    from_start = bool(np.isfinite(timeline.start_time))
    rows = make_rows(timeline, origin="start" if from_start else "first")
    lanes, validity = list(_find_lanes(timeline, rows)), find_validity_lanes(windows, origin_ms=rows.origin_ms)
    if not validity and not any(len(lane.bars) + len(lane.instants) for lane in lanes):
        raise InvalidInputError("nothing in this session has a time. There is nothing to draw.")
    since = f"since the {'start of the session' if from_start else 'first event'}"
    figure = _draw(lanes, validity, since=since, title=title)
    if target is not None:
        data = BytesIO()
        figure.canvas.print_png(data)
        publish_file(Path(target), lambda draft: draft.write_bytes(data.getvalue()), overwrite=overwrite)
    return figure


def _find_lanes(timeline: SessionTimeline, found: ExportRows) -> Iterator[_Lane]:
    """Yield the lanes from the top down."""
    onsets = np.array([row.onset for row in found.rows], dtype=np.float64)
    # A session whose every time is odd is drawn as it is.
    zero = found.origin_ms if is_usual(onsets * 1000 + found.origin_ms).any() else float("nan")
    for name in ("task", "element"):
        yield _make_lane(f"{name}s", COLORS[name], [row for row in found.rows if row.table == name], zero)
    segments = [row for row in found.rows if row.table == "segment"]
    others = sorted({row.category for row in segments} - {PAUSE})
    colors = {name: SEGMENT_COLORS[i % len(SEGMENT_COLORS)] for i, name in enumerate(others)} | {PAUSE: COLORS[PAUSE]}
    for name in [*others, *([PAUSE] if any(row.category == PAUSE for row in segments) else [])]:
        yield _make_lane(name, colors[name], [row for row in segments if row.category == name], zero)
    for name, covered in timeline.coverage.items():
        spans = (covered.spans - found.origin_ms) / 1000
        bars = np.column_stack((spans[:, 0], spans[:, 1] - spans[:, 0]))
        yield _Lane(NAMES.get(name, name), COLORS["device"], bars, np.empty(0), found.gaps[name])


def _make_lane(name: str, color: str, rows: list[ExportRow], zero: float) -> _Lane:
    times = np.array([(row.onset, row.duration) for row in rows], dtype=np.float64).reshape(-1, 2)
    times = times[~np.isnan(times[:, 0])]
    odd = _find_odd(times, zero)
    times = times[~odd]
    ended = ~np.isnan(times[:, 1])
    return _Lane(name, color, times[ended], times[~ended, 0], np.empty((0, 2)), int(odd.sum()))


def _find_odd(times: NDArray[np.float64], zero: float) -> NDArray[np.bool_]:
    """Tell which rows of start and length begin or end before 2000 or after 2100; none where ``zero`` is NaN."""
    starts = times[:, 0] * 1000 + zero
    ends = starts + np.nan_to_num(times[:, 1]) * 1000
    odd: NDArray[np.bool_] = ~(is_usual(starts) & is_usual(ends)) & ~np.isnan(zero)
    return odd


def _draw(lanes: list[_Lane], validity: list[ValidityLane], *, since: str, title: str | None) -> Any:
    ends = [np.concatenate((lane.bars[:, 0], lane.bars.sum(axis=1), lane.instants)) for lane in lanes]
    every = np.concatenate([*ends, *(lane.edges for lane in validity)])
    low, high = float(every.min()), float(every.max())
    count = len(lanes) + len(validity)
    scale, unit = (60.0, "minutes") if high - low > MINUTES_FROM else (1.0, "seconds")
    with load("matplotlib").rc_context({"font.size": 10, "font.family": "DejaVu Sans", "axes.edgecolor": INK}):
        size = (SIZE[0], SIZE[1] + LANE_INCHES * (count + bool(validity)))
        figure = load("matplotlib.figure").Figure(figsize=size, dpi=DPI, layout="constrained", facecolor=PAPER)
        load("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
        axes = figure.subplots()
        for place, lane in enumerate(lanes):
            _draw_lane(axes, place, lane, scale)
        draw_validity(axes, validity, first=len(lanes), scale=scale, height=HEIGHT)
        axes.set_yticks(range(count), [*map(_say, lanes), *(lane.label for lane in validity)])
        axes.set_ylim(count - 0.5, -0.5)
        margin = 0.01 * (high - low) or 0.5
        axes.set_xlim((low - margin) / scale, (high + margin) / scale)
        axes.set_xlabel(f"{unit} {since}")
        axes.grid(axis="x", color="#d9d9d9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        if title is not None:
            axes.set_title(title, loc="left", fontweight="bold")
        figure.canvas.draw()
    return figure


def _draw_lane(axes: Any, place: int, lane: _Lane, scale: float) -> None:
    box = (place - HEIGHT / 2, HEIGHT)
    # An edge in the bar's own colour, so that what is shorter than a pixel is seen as well.
    axes.broken_barh(lane.bars / scale, box, facecolor=lane.color, edgecolor=lane.color, linewidth=0.5, alpha=0.8)
    if len(lane.gaps):
        axes.broken_barh(
            lane.gaps / scale, box, facecolor=PAPER, edgecolor=COLORS["gap"], linewidth=0.8, hatch="////"
        )  # fmt: skip
    if lane.name == PAUSE:
        for start, length in (lane.bars / scale).tolist():
            axes.axvspan(start, start + length, color=lane.color, alpha=0.12, linewidth=0, zorder=0)
    axes.plot(lane.instants / scale, np.full(len(lane.instants), place), ">", color=lane.color, markersize=7)


def _say(lane: _Lane) -> str:
    """Return a lane's label with what is not to be overlooked."""
    notes = [lane.name]
    if len(lane.gaps):
        notes.append(f"{len(lane.gaps):,} gap{'' if len(lane.gaps) == 1 else 's'}")
    if len(lane.instants):
        notes.append(f"{len(lane.instants):,} without end")
    if lane.odd:
        notes.append(f"{lane.odd:,} at an odd time")
    return "\n".join(notes)
