"""fNIRS channels by number: which source and detector, wavelength and moment, and how far apart they are."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.recordings.windows.settings import WindowSettings

WAVELENGTHS, MOMENTS, MODULES, SOURCES, DETECTORS = 2, 3, 48, 3, 6
AXES = (WAVELENGTHS, MOMENTS, MODULES, SOURCES, MODULES, DETECTORS)
"""Axes of a channel number in C order: wavelength, moment, source module, source, detector module, detector."""
CHANNELS = int(np.prod(AXES))
"""All channels: 248,832."""
DEFAULT_MODULES = (*range(1, 9), 13, 14, 19, 20, *range(23, 27), *range(29, 33))
"""Modules kept where a layout is given and nothing else is said."""
COLUMNS = ("kind", "module", "number", "x", "y", "z")
"""Columns of a layout: source or detector, its module and number from 1, its place in millimetres."""
Positions = NDArray[np.float64]
"""(modules, sources or detectors, 3) millimetres; NaN where a layout has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where sources and detectors are."""

    sources: Positions
    """(48, 3, 3)"""
    detectors: Positions
    """(48, 6, 3)"""

    def digest(self) -> str:
        """Return what tells this layout from others."""
        made = hashlib.blake2b(self.sources.tobytes(), digest_size=8)
        made.update(self.detectors.tobytes())
        return made.hexdigest()

    def distances(self, channels: ChannelTable) -> NDArray[np.float64]:
        """Return the distance of source and detector by channel in millimetres, NaN where it is not known."""
        source = self.sources[channels.source_module - 1, channels.source - 1]
        detector = self.detectors[channels.detector_module - 1, channels.detector - 1]
        return np.asarray(np.sqrt(((source - detector) ** 2).sum(axis=-1)))


@dataclass(frozen=True, slots=True, eq=False)
class ChannelTable:
    """What the channels of some numbers are; modules, sources and detectors are counted from 1."""

    index: NDArray[np.int32]
    """Number of the channel in the file."""
    wavelength: NDArray[np.int8]
    """0 red, 1 infrared."""
    moment: NDArray[np.int8]
    """0 to 2."""
    source_module: NDArray[np.int8]
    """1 to 48."""
    source: NDArray[np.int8]
    """1 to 3."""
    detector_module: NDArray[np.int8]
    """1 to 48."""
    detector: NDArray[np.int8]
    """1 to 6."""


def channel_index(
    wavelength: Any, moment: Any, *, source_module: Any, source: Any, detector_module: Any, detector: Any
) -> Any:
    """Return the number of a channel, for numbers or arrays of them.

    >>> channel_index(1, 2, source_module=48, source=3, detector_module=48, detector=6)
    248831
    """
    at = (wavelength * MOMENTS + moment) * MODULES + source_module - 1
    at = (at * SOURCES + source - 1) * MODULES + detector_module - 1
    return at * DETECTORS + detector - 1


def describe_channels(index: NDArray[np.integer]) -> ChannelTable:
    """Return what channels are by their numbers.

    >>> table = describe_channels(np.array([0, 248831]))
    >>> table.source_module.tolist(), table.detector.tolist()
    ([1, 48], [1, 6])
    """
    parts = np.unravel_index(index.astype(np.int64), AXES)
    counted = [part + from_one for part, from_one in zip(parts, (0, 0, 1, 1, 1, 1), strict=True)]
    return ChannelTable(index.astype(np.int32), *(part.astype(np.int8) for part in counted))


def choose_channels(layout: Layout | None, settings: WindowSettings) -> NDArray[np.int32]:
    """Return the numbers of the channels that are wanted, whatever values they hold.

    With a layout those of the modules whose source and detector are near enough; without one those of the modules that
    are named, else all.
    """
    modules = settings.modules or (DEFAULT_MODULES if layout is not None else tuple(range(1, MODULES + 1)))
    wrong = [number for number in modules if not 1 <= number <= MODULES]
    if wrong:
        raise InvalidInputError(f"module {wrong[0]} is not one of 1 to {MODULES}.")
    wanted = np.zeros(MODULES + 1, dtype=bool)
    wanted[list(modules)] = True
    table = describe_channels(np.arange(CHANNELS, dtype=np.int32))
    chosen = wanted[table.source_module] & wanted[table.detector_module]
    if layout is not None:
        with np.errstate(invalid="ignore"):
            chosen &= layout.distances(table) <= settings.max_distance_mm
    return np.flatnonzero(chosen).astype(np.int32)


def read_layout(path: str | os.PathLike[str]) -> Layout:
    """Return the layout in a CSV file with the columns ``kind,module,number,x,y,z``, or a JSON list of such objects.

    Raises NotFoundError, SourceFormatError.
    """
    name = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no layout at {name}.") from None
    try:
        rows = json.loads(text) if name.endswith(".json") else _read_csv(text)
        return make_layout(rows)
    except SourceFormatError as error:
        raise SourceFormatError(f"layout {name}: {error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise SourceFormatError(
            f"layout {name} is not a table of {', '.join(COLUMNS)} ({type(error).__name__}: {error})."
        ) from error


def _read_csv(text: str) -> list[dict[str, str]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise SourceFormatError(f"no column {missing[0]}. Give the columns {', '.join(COLUMNS)}.")
    return list(rows)


def make_layout(rows: Iterable[Mapping[str, Any]]) -> Layout:
    """Return the layout of rows with ``kind`` ("source" or "detector"), ``module``, ``number``, ``x``, ``y``, ``z``."""
    counts = {"source": SOURCES, "detector": DETECTORS}
    places = {kind: np.full((MODULES, count, 3), np.nan) for kind, count in counts.items()}
    for number, row in enumerate(rows, 1):
        kind, module, at = str(row["kind"]), int(row["module"]), int(row["number"])
        if kind not in places or not 1 <= module <= MODULES or not 1 <= at <= counts[kind]:
            raise SourceFormatError(
                f"row {number}: {kind} {at} of module {module} is none of 48 modules with 3 sources and 6 detectors."
            )
        places[kind][module - 1, at - 1] = _point([row["x"], row["y"], row["z"]])
    return Layout(places["source"], places["detector"])


def _point(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values]
