"""The record of the object layout: how many objects there are, and which epochs are folded. One key, put whole.

It is the attributes of ``by_object/zarr.json``. Whatever it tells of is there before it is put, so that a reader is
right at every moment, and so is one that holds an older record: values that a record tells of never change, but for an
epoch that was replaced, which an own record takes back first (see ``take_back``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.grid import round_up
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.schema import decode, encode, group_document

KEY = "by_object/zarr.json"
ATTRIBUTE = "zarrmill_record"
Run = tuple[int, int]
"""First position and the one after the last."""


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """One block of epochs in the object layout."""

    generation: int = 0
    """Times that its shards were replaced; 0 where there are none."""
    objects: int = 0
    """Objects that there were at the last time."""
    shares: Mapping[str, str] = field(default_factory=dict)
    """Digest share of the folded epochs by array; none where an epoch was taken back since."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {"generation": self.generation, "objects": self.objects, "shares": dict(self.shares)}


@dataclass(frozen=True, slots=True)
class Record:
    """What is folded; see the module."""

    generation: int = 0
    """Grows with every put."""
    n_objects: int = 0
    """Number of objects."""
    n_epochs: int = 0
    """Length of the axis of epochs: whole blocks."""
    positions: int = 0
    """Positions of that axis that are given to epochs added by key."""
    index: int = 0
    """Number of the key index in use."""
    folded: tuple[Run, ...] = ()
    """Positions whose values are in the object layout."""
    blocks: tuple[BlockRecord, ...] = ()
    """The blocks of epochs, from the first."""
    taken_back: float = 0.0
    """When an epoch was last taken back, in seconds since 1970."""

    def mask(self) -> NDArray[np.bool_]:
        """Return for each position whether it is folded."""
        mask = np.zeros(self.n_epochs, dtype=bool)
        for start, stop in self.folded:
            mask[start:stop] = True
        return mask

    def block(self, number: int) -> BlockRecord:
        """Return a block of epochs."""
        return self.blocks[number] if number < len(self.blocks) else BlockRecord()

    def folded_in(self, number: int, length: int) -> NDArray[np.int64]:
        """Return the folded positions of a block, counted from its start."""
        return np.flatnonzero(self.mask()[number * length : (number + 1) * length])

    def with_block(self, number: int, block: BlockRecord, positions: Iterable[int]) -> Record:
        """Return the record after more positions of a block were folded."""
        mask = self.mask()
        mask[list(positions)] = True
        blocks = [self.block(i) for i in range(max(len(self.blocks), number + 1))]
        blocks[number] = block
        return replace(self, generation=self.generation + 1, folded=find_runs(mask), blocks=tuple(blocks))

    def take_back(self, position: int, *, epoch_block: int) -> Record:
        """Return the record after one position ceased to be folded, because its epoch was replaced."""
        mask = self.mask()
        mask[position] = False
        number = position // epoch_block
        blocks = list(self.blocks)
        blocks[number] = replace(blocks[number], shares={})
        return replace(
            self,
            generation=self.generation + 1,
            folded=find_runs(mask),
            blocks=tuple(blocks),
            taken_back=time.time(),
        )

    def grown(self, positions: int, *, epoch_block: int) -> Record:
        """Return the record with an axis of at least so many epochs, in whole blocks."""
        return replace(self, n_epochs=max(self.n_epochs, round_up(positions, epoch_block)))

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return data | {"folded": list(map(list, self.folded)), "blocks": [b.to_json() for b in self.blocks]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Return the record that ``to_json`` wrote."""
        given = {name: data[name] for name in cls.__dataclass_fields__}
        folded = tuple((int(a), int(b)) for a, b in data["folded"])
        return cls(**{**given, "folded": folded, "blocks": tuple(BlockRecord(**b) for b in data["blocks"])})


def find_runs(mask: NDArray[np.bool_]) -> tuple[Run, ...]:
    """Return the runs of true values.

    >>> find_runs(np.array([True, True, False, True]))
    ((0, 2), (3, 4))
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def load_record(keys: KeySpace) -> Record:
    """Return the record of a store. Raises SourceFormatError where it is lost or damaged."""
    where = f"{keys.location}/{KEY}"
    data = keys.get(KEY)
    if data is None:
        raise SourceFormatError(f"{where} is lost. Restore it from a copy.")
    try:
        return Record.from_json(decode(data, where=where)["attributes"][ATTRIBUTE])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceFormatError(f"{where}: malformed {ATTRIBUTE} ({error}). Restore it from a copy.") from error


def put_record(keys: KeySpace, record: Record) -> None:
    """Put the record: from now on readers see what it tells of."""
    said = {"long_name": "light curves by object", ATTRIBUTE: record.to_json()}
    keys.put(KEY, encode(group_document(said)))
