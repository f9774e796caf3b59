"""Rows matched with objects one to one by their places on the sky, the closest pairs first.

Directions are sorted into cubes as wide as the largest separation, so that what is within reach of a row lies in its
own cube or in one of its neighbours: neither poles nor the turn of right ascension are special.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.match import NONE, Match
from zarrmill.lightcurves.sky import Floats, Indices, check_positions, find_separation

LARGEST = 1.0
"""Degrees of separation at the most: a match over more is no match."""
MOST_CELLS = 2**20
"""Cubes along an axis: three axes fit into 63 bits, and cubes of 0.4 arcseconds are fine enough for any match."""
BLOCK = 2**14
"""Rows whose neighbourhood is looked up at once."""
MOST_PAIRS = 2**21
"""Pairs whose separations are computed at once, about 200 MB of them."""
WIDENING = 1 + 1e-9
"""Cubes are wider than the separation by more than rounding errors."""
NEIGHBOURS = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class SkyMatcher:
    """Objects ready to be matched with the rows of any number of epochs.

    >>> matcher = SkyMatcher.build([10.0, 20.0], [0.0, 0.0], max_separation=1 / 3600)
    >>> matcher.match([20.0001, 30.0], [0.0, 0.0]).objects.tolist()
    [1, -1]
    """

    ra: Floats
    """Right ascension of each object in degrees."""
    dec: Floats
    """Declination of each object in degrees."""
    max_separation: float
    """Degrees between a row and its object at the most."""
    cell: Indices
    """Cubes of the objects, sorted."""
    order: Indices
    """Object of each sorted cube."""

    @classmethod
    def build(cls, ra: Any, dec: Any, *, max_separation: float) -> SkyMatcher:
        """Return the matcher of a catalogue; raises InvalidInputError for positions or a separation that are none."""
        if not 0 < max_separation <= LARGEST:
            raise InvalidInputError(
                f"max_separation {max_separation!r}: from above 0 to {LARGEST:g} degrees. An arcsecond is 1/3600."
            )
        ras, decs = check_positions(ra, dec, where="objects")
        cells = _pack(_cubes(ras, decs, max_separation))
        order = np.argsort(cells, kind="stable")
        return cls(ras, decs, max_separation, cells[order], order)

    def match(self, ra: Any, dec: Any, *, group: Indices | None = None, where: str = "rows") -> Match:
        """Return the object of each row: of all pairs within reach the closest come first, each side once.

        Equally close pairs go to the earlier row. Rows of different groups, which are numbered from 0, do not compete.
        Raises InvalidInputError for rows without a position.
        """
        ras, decs = check_positions(ra, dec, where=where)
        parts = list(self._find_pairs(ras, decs))
        rows, objects, separation = (
            (np.concatenate(each) for each in zip(*parts, strict=True)) if parts else _no_pairs()
        )
        # An object is as many as there are groups: one row of each may have it.
        sides = objects if group is None else group[rows] * len(self.ra) + objects
        chosen = _choose(rows, sides, separation)
        found = np.full(len(ras), NONE, dtype=np.int64)
        found[rows[chosen]] = objects[chosen]
        apart = np.full(len(ras), np.nan)
        apart[rows[chosen]] = separation[chosen]
        reach = np.bincount(rows, minlength=len(ras))
        duplicate = np.flatnonzero((reach > 0) & (found == NONE))
        return Match(found, duplicate, np.flatnonzero((reach > 1) & (found != NONE)), apart)

    def _find_pairs(self, ra: Floats, dec: Floats) -> Iterator[tuple[Indices, Indices, Floats]]:
        """Yield every row with every object within reach, a block of rows at a time."""
        for start in range(0, len(ra), BLOCK):
            cubes = _cubes(ra[start : start + BLOCK], dec[start : start + BLOCK], self.max_separation)
            wanted = _pack(cubes[:, None, :] + NEIGHBOURS)
            first, last = (np.searchsorted(self.cell, wanted, side=side) for side in ("left", "right"))
            for part in _cut(np.cumsum((last - first).sum(axis=1))):
                rows, objects = self._list_pairs(first[part], last[part])
                rows += start + part.start
                separation = find_separation(ra[rows], dec[rows], self.ra[objects], self.dec[objects])
                near = separation <= self.max_separation
                yield rows[near], objects[near], separation[near]

    def _list_pairs(self, first: Indices, last: Indices) -> tuple[Indices, Indices]:
        """Return rows and objects of stretches of the sorted cubes, which are given by row and neighbour."""
        counts = (last - first).reshape(-1)
        rows = np.repeat(np.repeat(np.arange(len(first)), first.shape[1]), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self.order[np.repeat(first.reshape(-1), counts) + within]


def _cut(pairs: Indices) -> Iterator[slice]:
    """Yield stretches of rows with MOST_PAIRS at the most, or of one row, given how many pairs there are up to each."""
    start, done = 0, 0
    while start < len(pairs):
        stop = max(start + 1, int(np.searchsorted(pairs, done + MOST_PAIRS, side="right")))
        yield slice(start, stop)
        start, done = stop, int(pairs[stop - 1])


def _no_pairs() -> tuple[Indices, Indices, Floats]:
    return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)


def _cubes(ra: Floats, dec: Floats, max_separation: float) -> Indices:
    """Return the cube of each direction: three numbers from 1, so that neighbours are not negative."""
    longitude, latitude = np.radians(ra), np.radians(dec)
    directions = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=-1
    )
    chord = 2 * np.sin(np.radians(max_separation) / 2) * WIDENING
    width = max(chord, 2 / (MOST_CELLS - 4))
    return np.asarray(np.floor((directions + 1) / width), dtype=np.int64) + 1


def _pack(cubes: Indices) -> Indices:
    packed: Indices = (cubes[..., 0] * MOST_CELLS + cubes[..., 1]) * MOST_CELLS + cubes[..., 2]
    return packed


def _choose(rows: Indices, objects: Indices, separation: Floats) -> NDArray[np.bool_]:
    """Return which pairs are taken."""
    if not len(rows):
        return np.empty(0, dtype=bool)
    # Most pairs have no rival: only the others are gone through one by one.
    taken = np.ones(len(rows), dtype=bool)
    for side in (rows, objects):
        _, place, count = np.unique(side, return_inverse=True, return_counts=True)
        taken &= count[place] == 1
    rivals = np.flatnonzero(~taken)
    rivals = rivals[np.lexsort((objects[rivals], rows[rivals], separation[rivals]))]
    rows_done: set[int] = set()
    objects_done: set[int] = set()
    for pair, row, one in zip(rivals.tolist(), rows[rivals].tolist(), objects[rivals].tolist(), strict=True):
        if row not in rows_done and one not in objects_done:
            taken[pair] = True
            rows_done.add(row)
            objects_done.add(one)
    return np.asarray(taken)
