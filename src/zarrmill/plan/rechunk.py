"""The plan of a rechunk: the stages and blocks of all its arrays.

Everything here follows from the array plans; nothing is read and nothing written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from zarrmill.errors import PlanError
from zarrmill.grid import Region
from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.memory import Remote
from zarrmill.plan.model import Block

FORMAT = 1
"""Version of the plan as JSON."""


@dataclass(frozen=True, slots=True)
class ArrayBlock:
    """Payload of a block: a box of one array in one pass."""

    array: str
    """Path of the array."""
    pass_index: int
    """Pass, from 0."""
    domain: Region
    """The independent box it belongs to."""
    region: Region
    """What the block covers: it alone writes the write chunks (or the intermediate's tiles) in there."""


@dataclass(frozen=True, slots=True)
class Step:
    """The blocks of one pass of one array, in one independent box or, with a single pass, in the whole array."""

    array: ArrayPlan
    """The array."""
    pass_index: int
    """The pass."""
    domain: Region
    """The box."""
    domain_index: int
    """Its number."""

    def __len__(self) -> int:
        return len(self.array.block_grid(self.pass_index, self.domain))

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in C order."""
        grid = self.array.block_grid(self.pass_index, self.domain)
        name = f"{self.array.path or '/'}:{self.pass_index}:{self.domain_index}"
        for index, coord in enumerate(grid.coords()):
            region = grid.region(coord)
            payload = ArrayBlock(self.array.path, self.pass_index, self.domain, region)
            yield Block(f"{name}:{index}", payload, region.size * self.array.source.itemsize)

    @property
    def weight(self) -> int:
        """Bytes of its blocks."""
        return self.domain.size * self.array.source.itemsize


@dataclass(frozen=True, slots=True)
class RechunkStage:
    """Steps with no order between their blocks."""

    name: str
    """What the stage does, for people."""
    steps: tuple[Step, ...]
    """The steps."""

    def __len__(self) -> int:
        return sum(map(len, self.steps))

    @property
    def weight(self) -> int:
        """Bytes of its blocks."""
        return sum(step.weight for step in self.steps)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of its steps in order."""
        for step in self.steps:
            yield from step.blocks()


class RechunkStages(Sequence[RechunkStage]):
    """The stages of a rechunk, made when asked for: first all arrays of one pass, then the others box by box."""

    def __init__(self, arrays: Sequence[ArrayPlan]) -> None:
        self._single = [a for a in arrays if len(a.passes) == 1]
        self._multi = [a for a in arrays if len(a.passes) > 1]

    def __len__(self) -> int:
        return bool(self._single) + sum(len(a.domains()) * len(a.passes) for a in self._multi)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if self._single and index == 0:
            steps = tuple(Step(a, 0, Region.whole(a.source.shape), 0) for a in self._single)
            return RechunkStage("copy", steps)
        index -= bool(self._single)
        for array in self._multi:
            count = len(array.domains()) * len(array.passes)
            if 0 <= index < count:
                return _stage_of(array, *divmod(index, len(array.passes)))
            index -= count
        raise IndexError("there is no such stage")


def _stage_of(array: ArrayPlan, domain_index: int, pass_index: int) -> RechunkStage:
    grid = array.domains()
    of = f" {domain_index + 1}/{len(grid)}" if len(grid) > 1 else ""
    domain = grid.region(grid.coord(domain_index))
    name = f"{array.path or 'array'}: pass {pass_index + 1} of {len(array.passes)}{of}"
    return RechunkStage(name, (Step(array, pass_index, domain, domain_index),))


@dataclass(frozen=True, slots=True)
class RechunkPlan:
    """How a store, or an array, gets into another layout.

    It holds names, shapes and figures, no data and no connection: it can be stored as JSON, sent and run elsewhere.
    """

    source: str
    """Location that is read."""
    target: str
    """Location that is written, "" for a plan that is only looked at."""
    arrays: tuple[ArrayPlan, ...]
    """Plans of the arrays, in the order of their paths."""
    max_mem: int
    """Limit in bytes for each process that runs blocks."""
    processes: int
    """Processes that run blocks."""
    threads: int
    """Threads in each."""
    verify: str
    """"full", "written" or "none"."""
    documents: tuple[tuple[str, str], ...] = ()
    """Metadata of the target as (path, JSON text), the root last."""
    notes: tuple[str, ...] = ()
    """What people should know before they run it."""
    remote: Remote = field(default_factory=Remote)
    """Which ends are reached by requests to a store."""

    @property
    def stages(self) -> Sequence[RechunkStage]:
        """The stages in order."""
        return RechunkStages(self.arrays)

    @property
    def projected_mem(self) -> int:
        """Bound of the memory of any block, in bytes per process."""
        return max((a.projected_mem for a in self.arrays), default=0)

    @property
    def scratch_bytes(self) -> int:
        """Space that the intermediates take at the most, in bytes; those of one array are gone before the next."""
        return max((a.scratch_bytes for a in self.arrays), default=0)

    @property
    def n_blocks(self) -> int:
        """Number of blocks of all stages."""
        return sum(len(stage) for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RechunkPlan:
        """Return the plan that ``to_json`` wrote; raises PlanError for one of another version."""
        if data.get("format") != FORMAT:
            raise PlanError(f"this plan has format {data.get('format')}, this version reads {FORMAT}. Plan again.")
        values = {key: value for key, value in data.items() if key != "format"}
        values["arrays"] = tuple(ArrayPlan.from_json(a) for a in data["arrays"])
        values["documents"] = tuple((path, text) for path, text in data["documents"])
        values["notes"] = tuple(data["notes"])
        values["remote"] = Remote(**data.get("remote", {}))
        return cls(**values)

    def fingerprint(self) -> str:
        """Return a hash of the plan: equal for equal requests on equal shapes."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
