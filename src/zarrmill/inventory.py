"""What one listing of a store shows: keys and bytes of each array, and the drafts of runs that have not ended."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import join
from zarrmill.store_draft import CLAIM, FOLDER

CHUNK_KEY = re.compile(r"c|(c[./])?\d+([./]\d+)*")
"""Keys of chunks within an array: those of the default encoding and of v2."""


@dataclass(slots=True)
class Stock:
    """Keys, and the bytes of their values."""

    keys: int = 0
    """Keys."""
    nbytes: int | None = 0
    """Bytes of all values; None in stores whose listings have no sizes."""

    def add(self, nbytes: int | None) -> None:
        """Count one key."""
        self.keys += 1
        self.nbytes = None if nbytes is None or self.nbytes is None else self.nbytes + nbytes


@dataclass(slots=True)
class Inventory:
    """What is in a store."""

    arrays: dict[str, Stock]
    """Chunks of each array by its path."""
    drafts: dict[str, Stock] = field(default_factory=dict)
    """What belongs to a draft alone, by the path of its target."""
    total: Stock = field(default_factory=Stock)
    """All keys."""


def take_inventory(keys: KeySpace, arrays: Collection[str]) -> Inventory:
    """Return what one listing of a store shows, page by page, of the arrays at some paths and of drafts anywhere.

    A draft is one that has been claimed; the chunks of its target are in none of the arrays, because those have
    metadata.
    """
    found = Inventory({path: Stock() for path in arrays})
    claimed, kept = set[str](), dict[str, Stock]()
    for info in keys.list():
        found.total.add(info.nbytes)
        target, is_draft, _ = f"/{info.key}".partition(f"/{FOLDER}/")
        if is_draft:
            target = target.strip("/")
            kept.setdefault(target, Stock()).add(info.nbytes)
            if info.key == join(target, CLAIM):
                claimed.add(target)
            continue
        array = _array_of(info.key, found.arrays)
        if array is not None and CHUNK_KEY.fullmatch(info.key[len(array) :].lstrip("/")):
            found.arrays[array].add(info.nbytes)
    found.drafts = {target: kept[target] for target in sorted(claimed)}
    return found


def _array_of(key: str, arrays: Collection[str]) -> str | None:
    """Return the array in which a key lies, None outside of all."""
    path = key.rpartition("/")[0]
    while path not in arrays:
        if not path:
            return None
        path = path.rpartition("/")[0]
    return path
