"""What became of every row that was to be ingested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMED = 20
"""Rows of one fate that are named; all are counted."""
FATES = {
    "unmatched": "no object of the store",
    "duplicate": "another row has the object already",
    "ambiguous": "several objects within reach, the nearest taken",
    "without_key": "no key",
    "without_position": "no position",
    "without_time": "no time",
    "unknown_band": "a band that the store does not have",
}
"""What may become of a row other than to be matched, and what that means."""


@dataclass(frozen=True, slots=True)
class NamedRows:
    """The rows of one fate."""

    count: int
    """How many there are."""
    rows: tuple[int, ...]
    """The first of them, counted from 0."""
    names: tuple[str, ...]
    """Their keys or positions, as the table writes them."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The fate of every row of a table: each is matched or in one of the fates but ``ambiguous``, which are matched.

    >>> report = IngestReport("night.fits", rows=3, matched=2, fates={"unmatched": NamedRows(1, (2,), ("99",))})
    >>> report.summary()
    'night.fits: 3 rows, 2 matched, 1 unmatched'
    """

    source: str
    """The table."""
    rows: int = 0
    """Rows of the table."""
    matched: int = 0
    """Rows of which something is in an epoch."""
    epochs: int = 0
    """Epochs that were made of them."""
    match: str = "key"
    """How rows were matched: by key or by sky."""
    preset: str = ""
    """Preset that named the columns."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Column by role."""
    fates: Mapping[str, NamedRows] = field(default_factory=dict)
    """Rows by what became of them, see ``FATES``."""
    values: Mapping[str, int] = field(default_factory=dict)
    """Values by status: detected, not detected, not observed; and masked flags."""
    notes: tuple[str, ...] = ()
    """What was found, taken for granted or converted."""

    def summary(self) -> str:
        """Return one line for people."""
        said = [f"{named.count} {fate.replace('_', ' ')}" for fate, named in self.fates.items() if named.count]
        return f"{self.source}: {', '.join([f'{self.rows} rows', f'{self.matched} matched', *said])}"

    def to_json(self) -> dict[str, Any]:
        """Return the report as what JSON can write."""
        return asdict(self)


def name_rows(rows: NDArray[np.int64], names: NDArray[Any] | None) -> NamedRows:
    """Return rows with their names, those of the first rows at the most."""
    first = np.sort(rows)[:NAMED]
    return NamedRows(len(rows), tuple(first.tolist()), () if names is None else tuple(map(str, names[first].tolist())))
