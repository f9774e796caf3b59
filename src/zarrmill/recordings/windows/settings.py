"""What can be chosen about windows: every figure with its default, from TOML or the command line."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from zarrmill.errors import InvalidInputError, NotFoundError

Scale = Literal["linear", "log"]
Span = Literal["union", "common"]
EEG_CHANNELS = tuple(range(1, 22))
"""Channels of the head; those above are auxiliary."""

MOST_TOLERANCE = 3.0
"""Frames; a frame that is further away is of another place."""
WANTED = {
    "window_ms": "give a length above 0",
    "frames_per_window": "give 1 or more",
    "tolerance": f"give frames above 0 and up to {MOST_TOLERANCE}",
    "fnirs_tolerance": f"give frames above 0 and up to {MOST_TOLERANCE}",
    "min_run_s": "give 0 s or more",
    "max_distance_mm": "give a distance above 0",
    "chunk_windows": "give 1 or more",
    "eeg_channels": "give channels from 1, each once",
    "modules": "name one or more",
    "scale": "use linear or log",
    "span": "use union or common",
}


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """A Butterworth band pass, forward and backward, of every contiguous run of its own."""

    low_hz: float = 0.5
    """Lower corner; 0 makes it a low pass."""
    high_hz: float = 40.0
    """Upper corner."""
    order: int = 4
    """Order of the filter in each direction."""
    overlap_s: float = 20.0
    """Seconds read beyond either end of a block: with 20 its edges do not show (3e-9), with 5 they do (0.02)."""

    def __post_init__(self) -> None:
        if not 0 <= self.low_hz < self.high_hz:
            raise InvalidInputError(
                f"filter from {self.low_hz} to {self.high_hz} Hz is no band. Give 0 <= low_hz < high_hz."
            )
        if self.order < 1 or self.overlap_s < 0:
            raise InvalidInputError(
                f"filter of order {self.order} with {self.overlap_s} s of overlap: give an order of 1 or more and 0 s "
                f"or more."
            )


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """Everything that can be chosen about windows; all of it is stored with them."""

    window_ms: float = 210.0
    """Length that is asked for; what comes of it is a whole number of EEG frames of the measured period."""
    frames_per_window: int | None = None
    """EEG frames in a window; None for as many as ``window_ms`` holds by the measured period."""
    tolerance: float = 0.5
    """Largest distance of an EEG frame from its place on the clock, in frames."""
    fnirs_tolerance: float = 0.5
    """Largest distance of an fNIRS frame from where frames lie in a window, in fNIRS frames or windows, whichever are
    longer; half an EEG frame more is allowed for jitter."""
    eeg_channels: tuple[int, ...] = EEG_CHANNELS
    """Channels kept, counted from 1 as in the file."""
    filter: FilterSettings | None = field(default_factory=FilterSettings)
    """Filter of the EEG, None for none."""
    min_run_s: float = 1.0
    """Seconds of EEG without a hole below which a run cannot be filtered and its windows are not valid."""
    modules: tuple[int, ...] | None = None
    """fNIRS modules kept; None for those of ``channels.DEFAULT_MODULES`` with a layout, and all without."""
    max_distance_mm: float = 60.0
    """Largest distance of source and detector, where a layout tells it."""
    scale: Scale = "linear"
    """fNIRS values as they are, or their natural logarithm."""
    span: Span = "union"
    """Windows from the first frame of any device to the last, or those alone that all devices cover."""
    chunk_windows: int = 100
    """Windows in a chunk."""
    codec: str = "zstd:1"
    """Codec of the signals, as ``--codec`` of a rechunk."""

    def __post_init__(self) -> None:
        for problem in _find_problems(self):
            raise InvalidInputError(problem)

    def min_run(self, frame_ms: float) -> int:
        """Return the EEG frames of ``frame_ms`` below which a run is not filtered, 0 without a filter."""
        return 0 if self.filter is None else round(self.min_run_s * 1000 / frame_ms)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> WindowSettings:
        """Return settings from values by name; ``filter`` is a table of its own, or false.

        >>> WindowSettings.from_mapping({"window_ms": 420, "filter": False}).filter is None
        True
        """
        given = _known(data, cls, where="")
        if "filter" in given:
            given["filter"] = _filter_of(given["filter"])
        for name in ("eeg_channels", "modules"):
            if given.get(name) is not None:
                given[name] = _whole_numbers(given[name], name)
        made: WindowSettings = _made(cls, given)
        return made

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None, assignments: Sequence[str] = ()) -> WindowSettings:
        """Return settings from a TOML file, the usual ones without it, changed by such as ``filter.low_hz=1``."""
        return cls.from_mapping(assign({} if path is None else _read_toml(path), assignments))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values, of which ``from_mapping`` makes the same settings."""
        data = dataclasses.asdict(self)
        lists = {name: list(value) for name, value in data.items() if isinstance(value, tuple)}
        return {**data, **lists, "filter": data["filter"] or False}


def _find_problems(made: WindowSettings) -> list[str]:
    limits = {
        "window_ms": made.window_ms > 0,
        "frames_per_window": made.frames_per_window is None or made.frames_per_window >= 1,
        "tolerance": 0 < made.tolerance <= MOST_TOLERANCE,
        "fnirs_tolerance": 0 < made.fnirs_tolerance <= MOST_TOLERANCE,
        "min_run_s": made.min_run_s >= 0,
        "max_distance_mm": made.max_distance_mm > 0,
        "chunk_windows": made.chunk_windows >= 1,
        "eeg_channels": len(set(made.eeg_channels)) == len(made.eeg_channels) > 0 and min(made.eeg_channels) >= 1,
        "modules": made.modules is None or len(made.modules) > 0,
        "scale": made.scale in get_args(Scale),
        "span": made.span in get_args(Span),
    }
    return [f"setting {name} {getattr(made, name)!r}: {WANTED[name]}." for name, good in limits.items() if not good]


DEFAULT_SETTINGS = WindowSettings()
"""The usual settings."""


def assign(data: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return values changed by assignments in the words of TOML; a value that is not TOML counts as text.

    >>> assign({"window_ms": 210}, ["filter.low_hz=1", "scale=log"])
    {'window_ms': 210, 'filter': {'low_hz': 1}, 'scale': 'log'}
    """
    changed = {name: dict(value) if isinstance(value, Mapping) else value for name, value in data.items()}
    for text in assignments:
        name, equals, value = (part.strip() for part in text.partition("="))
        table, dot, key = name.rpartition(".")
        if not equals or not key:
            raise InvalidInputError(f"setting {text!r} is no assignment. Write name=value, as in window_ms=420.")
        inner = changed.setdefault(table, {}) if dot else changed
        if not isinstance(inner, dict):
            inner = changed[table] = {}
        inner[key] = _toml_value(value)
    return changed


def _read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"there is no settings file at {os.fspath(path)}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"settings {os.fspath(path)} are not TOML: {error}.") from error


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _filter_of(value: Any) -> FilterSettings | None:
    if value is False or value is None:
        return None
    if value is True:
        return FilterSettings()
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"setting filter {value!r} is neither false nor a table of its figures.")
    made: FilterSettings = _made(FilterSettings, _known(value, FilterSettings, where="filter."))
    return made


def _known(data: Mapping[str, Any], kind: type, *, where: str) -> dict[str, Any]:
    """Return the values as they are; raises InvalidInputError for a name that is no setting."""
    names = [found.name for found in dataclasses.fields(kind)]
    for name in data:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {where}{near[0]}?" if near else f"There are {', '.join(names)}."
            raise InvalidInputError(f"setting {where}{name} is not known. {hint}")
    return dict(data)


def _made(kind: Any, given: dict[str, Any]) -> Any:
    try:
        return kind(**given)
    except TypeError as error:
        raise InvalidInputError(f"settings {given}: {error}.") from error


def _whole_numbers(value: Any, name: str) -> tuple[int, ...]:
    """Return numbers given as a list, or as text with ranges.

    >>> _whole_numbers("1-3,7", "modules")
    (1, 2, 3, 7)
    """
    try:
        if isinstance(value, str):
            parts = [part.partition("-") for part in value.split(",")]
            return tuple(n for a, dash, b in parts for n in range(int(a), int(b if dash else a) + 1))
        return tuple(int(number) for number in ([value] if isinstance(value, int) else value))
    except (TypeError, ValueError):
        raise InvalidInputError(f"setting {name} {value!r} is no list of whole numbers. Write 1-8,13.") from None
