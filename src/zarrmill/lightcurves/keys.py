"""Rows matched with objects by key: whole numbers or text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.match import NONE, Match

Indices = NDArray[np.int64]

LONGEST = 19
"""Digits of a number that may not fit into 64 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyMatcher:
    """Keys of objects ready to be matched with the rows of any number of epochs.

    >>> matcher = KeyMatcher.build([30, 10, 20])
    >>> match = matcher.match([20, 99, 30, 20])
    >>> match.objects.tolist(), match.unmatched.tolist(), match.duplicate.tolist()
    ([2, -1, 0, -1], [1], [3])
    """

    keys: NDArray[Any]
    """Keys, sorted: int64 or text."""
    order: Indices
    """Object of each sorted key."""

    @classmethod
    def build(cls, keys: Any) -> KeyMatcher:
        """Return the matcher of a catalogue; raises InvalidInputError that names keys which come twice."""
        plain = plain_keys(keys, where="objects")
        order = np.argsort(plain, kind="stable")
        ordered = plain[order]
        twice = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(twice):
            raise InvalidInputError(
                f"objects: {len(twice)} keys come more than once, the first {ordered[twice[0]].item()!r} at rows "
                f"{order[twice[0]]} and {order[twice[0] + 1]}. Leave all but one out."
            )
        return cls(ordered, order)

    def match(self, keys: Any, *, where: str = "rows") -> Match:
        """Return the object of each row; of rows with the same key the first has the object.

        Text that reads as whole numbers is matched with keys that are, and the other way round.
        """
        found = self.find(keys, where=where)
        first = np.zeros(len(found), dtype=bool)
        first[np.unique(found, return_index=True)[1]] = True
        duplicate = np.flatnonzero(~first & (found != NONE))
        found[duplicate] = NONE
        return Match(found, duplicate, np.empty(0, np.int64))

    def find(self, keys: Any, *, where: str = "rows") -> Indices:
        """Return the object of each row, -1 where there is none; any number of rows may have the same."""
        rows = _as_type(plain_keys(keys, where=where), self.keys)
        if not len(self.keys):
            return np.full(len(rows), NONE, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.keys, rows), len(self.keys) - 1)
        return np.where(self.keys[at] == rows, self.order[at], NONE)


def plain_keys(keys: Any, *, where: str) -> NDArray[Any]:
    """Return keys as int64 or text without blanks at the end.

    Raises InvalidInputError for keys that are masked, empty, not whole or of another kind.
    """
    array = np.ma.asarray(keys)
    absent = np.flatnonzero(np.ma.getmaskarray(array))
    values = np.asarray(array.data)
    if values.dtype.kind == "f":
        absent = np.union1d(absent, np.flatnonzero(~(values == np.floor(values)) | (np.abs(values) >= 2**53)))
    if values.dtype.kind in "OT":
        values = np.asarray([_plain_key(key) for key in values.tolist()])
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind == "U":
        values = np.char.rstrip(values)
        absent = np.union1d(absent, np.flatnonzero(values == ""))
    elif values.size and (values.dtype.kind not in "iuf" or (values.dtype == np.uint64 and values.max() >= 2**63)):
        raise InvalidInputError(f"{where}: keys are {values.dtype}. Give whole numbers below 2^63 or text.")
    if len(absent):
        rows = ", ".join(map(str, absent[:5].tolist()))
        raise InvalidInputError(
            f"{where}: {len(absent)} of {len(values)} rows have no whole or written key, the first at {rows}. "
            f"Leave those rows out."
        )
    return values if values.dtype.kind == "U" else values.astype(np.int64)


def _plain_key(key: Any) -> Any:
    if key is None or key != key:
        return ""
    return key.decode() if isinstance(key, bytes) else key


def _as_type(rows: NDArray[Any], keys: NDArray[Any]) -> NDArray[Any]:
    """Return keys of rows in the type of those of the objects."""
    if rows.dtype.kind == keys.dtype.kind:
        return rows
    if keys.dtype.kind == "U":
        return rows.astype("U")
    absent = int(keys.min()) - 1 if len(keys) else 0
    return np.array([int(key) if _is_number(key) else absent for key in rows.tolist()], dtype=np.int64)


def _is_number(text: str) -> bool:
    """Return whether text is how a number is written: leading zeros make another key."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < LONGEST and str(int(text)) == text
