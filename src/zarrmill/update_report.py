"""What an update would do again, told before it is done."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.update import Update


@dataclass(frozen=True, slots=True)
class ArrayUpdateReport:
    """What would be done again of one array."""

    path: str
    """Path below the root, "" for the root itself."""
    source_keys: int
    """Keys that the source may have now."""
    changed_keys: int
    """Those that are new, changed or lost since the target was published."""
    changed: tuple[str, ...]
    """The box that holds all of them, "epoch 9:10" for each axis; nothing where nothing is new."""
    blocks: int
    """Blocks that are done again."""
    kept_blocks: int
    """Blocks that are kept."""
    nbytes: int
    """Decoded bytes of the blocks that are done again."""


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What ``rechunk(update=True)`` would do."""

    source: str
    """Location that is read."""
    target: str
    """Location that is brought up to date."""
    published: bool
    """Whether there is a target; everything is done where there is none yet."""
    current: bool
    """Whether nothing is to be done."""
    blocks: int
    """Blocks that are done again."""
    kept_blocks: int
    """Blocks that are kept."""
    nbytes: int
    """Decoded bytes of the blocks that are done again."""
    projected_mem: int
    """Bound of the memory of any block, in bytes per process."""
    max_mem: int
    """Limit in bytes for each process that runs blocks."""
    processes: int
    """Processes that run blocks."""
    arrays: tuple[ArrayUpdateReport, ...]
    """The arrays in the order of their paths."""
    notes: tuple[str, ...]
    """What people should know."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, lists for tuples."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data


def summarize_update(plan: RechunkPlan, update: Update | None) -> UpdateReport:
    """Return what a plan does of an update that has taken it, or of a first run, which is none."""
    blocks, kept, nbytes = Counter[str](), Counter[str](), Counter[str]()
    for stage in plan.stages:
        for block in stage.blocks():
            path = block.payload.array
            if update is None or update.redoes(block.payload):
                blocks[path] += 1
                nbytes[path] += block.weight
            else:
                kept[path] += 1
    arrays = tuple(
        ArrayUpdateReport(a.path, *_say_change(a, update), blocks[a.path], kept[a.path], nbytes[a.path])
        for a in plan.arrays
    )
    return UpdateReport(
        source=plan.source,
        target=plan.target,
        published=update is not None,
        current=update is not None and update.is_current(plan),
        blocks=blocks.total(),
        kept_blocks=kept.total(),
        nbytes=nbytes.total(),
        projected_mem=plan.projected_mem,
        max_mem=plan.max_mem,
        processes=plan.processes,
        arrays=arrays,
        notes=plan.notes,
    )


def _say_change(array: ArrayPlan, update: Update | None) -> tuple[int, int, tuple[str, ...]]:
    """Return the keys of the source, how many of them are new, and where."""
    source = array.source
    names = [name or f"axis {i}" for i, name in enumerate(source.dims or (None,) * len(source.shape))]
    if update is None:
        n = source.n_write_chunks
        return n, n, tuple(f"{name} 0:{length}" for name, length in zip(names, source.shape, strict=True))
    change = update.changes[array.path]
    where = () if change.box is None else zip(names, change.box.start, change.box.stop, strict=True)
    return change.mask.size, int(change.mask.sum()), tuple(f"{name} {a}:{b}" for name, a, b in where)
