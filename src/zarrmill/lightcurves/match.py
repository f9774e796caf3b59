"""What became of each row that was to be matched with an object; nothing is dropped in silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
NONE = -1
"""Object of a row that has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Rows and their objects, at most one row to an object and one object to a row.

    >>> match = Match(np.array([4, -1, -1]), duplicate=np.array([2]), ambiguous=np.array([0]))
    >>> match.matched.tolist(), match.unmatched.tolist(), match.count()
    ([0], [1], {'rows': 3, 'matched': 1, 'unmatched': 1, 'duplicate': 1, 'ambiguous': 1})
    """

    objects: Indices
    """Position of the object of each row, -1 where there is none."""
    duplicate: Indices
    """Rows without an object because another row has it: by key the later one, by position the farther one."""
    ambiguous: Indices
    """Rows that have an object, the nearest, though others were within reach too."""
    separation: NDArray[np.float64] | None = None
    """Degrees between each row and its object, NaN where there is none; None after a match by key."""

    @property
    def matched(self) -> Indices:
        """Rows that have an object."""
        return np.flatnonzero(self.objects != NONE)

    @property
    def unmatched(self) -> Indices:
        """Rows for which there is no object at all."""
        none = self.objects == NONE
        none[self.duplicate] = False
        return np.flatnonzero(none)

    def count(self) -> dict[str, int]:
        """Return how many rows of each fate there are; every row is matched, unmatched or a duplicate."""
        fates = ("matched", "unmatched", "duplicate", "ambiguous")
        return {"rows": len(self.objects), **{fate: len(getattr(self, fate)) for fate in fates}}
