"""The record of a published array: what its chunks were made from, for the run that brings it up to date.

It is the key zarrmill.json beside the array's zarr.json, where readers of Zarr look for nothing: below an array there
are its chunks, which they ask for by name. One that is damaged or of another version counts as none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.grid import Shape, ceil_div
from zarrmill.key_states import States

RECORD = "zarrmill.json"
"""Name of the key, beside the metadata of its array."""
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class MadeFrom:
    """What an array was made from, and what was made of it."""

    source: str
    """Location of the source."""
    shape: Shape
    """Shape of the array there."""
    write_chunk: Shape
    """What lies in one key there."""
    states: States
    """The states of its keys."""
    terms: int
    """Fingerprint of the keys that were made, as ``stored_terms`` returns it."""

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        states = base64.b64encode(zlib.compress(self.states.astype("<u8").tobytes(), 1)).decode()
        values = {
            "format": FORMAT,
            "source": self.source,
            "shape": list(self.shape),
            "write_chunk": list(self.write_chunk),
            "states": states,
            "terms": f"{self.terms:016x}",
        }
        return json.dumps(values | {"check": _check(values)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> MadeFrom | None:
        """Return the record that ``to_bytes`` made, None for anything else."""
        try:
            values = json.loads(data)
            if values.pop("check") != _check(values) or values["format"] != FORMAT:
                return None
            states = np.frombuffer(zlib.decompress(base64.b64decode(values["states"])), dtype="<u8")
            shape, write_chunk = tuple(values["shape"]), tuple(values["write_chunk"])
            return cls(values["source"], shape, write_chunk, states.astype(np.uint64), int(values["terms"], 16))
        except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
            return None


def _check(values: dict[str, Any]) -> str:
    """Return the checksum of a record: a digit that was flipped still makes a number."""
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=8).hexdigest()


def find_changes(before: MadeFrom, now: MadeFrom) -> NDArray[np.bool_]:
    """Return which chunks of a source are new or changed: one truth value for each that there is now.

    Where an axis became longer or shorter, the chunks at the old end, and all beyond it, count as changed.

    >>> states = np.array([5, 6, 7], dtype=np.uint64)
    >>> old = MadeFrom("a", (6,), (2,), states, 0)
    >>> find_changes(old, MadeFrom("a", (8,), (2,), np.array([5, 9, 7, 8], dtype=np.uint64), 0)).tolist()
    [False, True, False, True]
    """
    counts = _counts(now)
    if (before.source, before.write_chunk, len(before.shape)) != (now.source, now.write_chunk, len(now.shape)):
        return np.ones(counts, dtype=bool)
    old, new = before.states.reshape(_counts(before)), now.states.reshape(counts)
    changed = np.ones(counts, dtype=bool)
    common = tuple(slice(0, min(a, b)) for a, b in zip(old.shape, new.shape, strict=True))
    changed[common] = old[common] != new[common]
    for axis, (n, m, chunk) in enumerate(zip(before.shape, now.shape, now.write_chunk, strict=True)):
        if n != m and counts[axis]:
            edge = min(min(n, m) // chunk, counts[axis] - 1)
            changed[(*(slice(None),) * axis, slice(edge, None))] = True
    return changed


def _counts(record: MadeFrom) -> Shape:
    pairs = zip(record.shape, record.write_chunk, strict=True)
    counts = tuple(ceil_div(n, chunk) for n, chunk in pairs)
    if math.prod(counts) != record.states.size:
        raise ValueError(f"{record.states.size} states of {math.prod(counts)} keys")
    return counts
