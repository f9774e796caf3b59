"""What a resumed run does first: finished blocks whose keys or intermediates are no longer there are done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.intermediates import Intermediates
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.execute.scratch import scratch_name, tile_name
from zarrmill.grid import ChunkGrid, Region
from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.model import Block, BlockResult, Stage
from zarrmill.plan.rechunk import RechunkPlan, RechunkStage, Step
from zarrmill.target import RunJournal, Target

Sizes = Callable[[str], int | None]
"""Tells the size of a key of an array, None where it is missing."""


def forget_lost(
    plan: RechunkPlan,
    journal: RunJournal,
    *,
    target: Target,
    scratch: Intermediates,
    documents: Mapping[str, dict[str, Any]],
) -> None:
    """Take back finished blocks whose keys are not as they were written, or whose intermediates are gone but needed."""
    for array in plan.arrays:
        sizes = target.sizes(array.path)
        journal.forget(lost_blocks(array, journal, sizes=sizes, document=documents[array.path]))
        for domain_index, coord in enumerate(array.domains().coords() if len(array.passes) > 1 else ()):
            domain = array.domains().region(coord)
            for index in range(len(array.passes) - 1, 0, -1):
                after = Step(array, index, domain, domain_index)
                if any(block.id not in journal for block in after.blocks()):
                    before = Step(array, index - 1, domain, domain_index)
                    journal.forget(b.id for b in before.blocks() if not _has_tiles(array, b, scratch))


def _has_tiles(array: ArrayPlan, block: Block, scratch: Intermediates) -> bool:
    """Tell whether the intermediate still holds the tiles that a block wrote."""
    payload = block.payload
    place = scratch.place(scratch_name(array.path, payload.domain, payload.pass_index))
    grid = array.tile_grid(payload.pass_index, payload.domain)
    return all(place.exists(tile_name(coord)) for coord in grid.coords(payload.region))


def lost_blocks(array: ArrayPlan, journal: RunJournal, *, sizes: Sizes, document: Mapping[str, Any]) -> list[str]:
    """Return the finished blocks of the target whose keys are not there with the sizes that they had."""
    keys = KeyEncoding.of(dict(document))
    grid = ChunkGrid.over(array.target.shape, array.target.write_chunk)
    found = ((block, journal.get(block.id)) for block in final_blocks(array))
    return [
        block.id
        for block, result in found
        if result is not None and not _is_stored(block.payload.region, result, array.path, sizes, keys, grid)
    ]


def final_blocks(array: ArrayPlan) -> Iterator[Block]:
    """Yield the blocks that write the target, of all independent boxes."""
    last, domains = len(array.passes) - 1, array.domains()
    if not last:
        yield from Step(array, 0, Region.whole(array.source.shape), 0).blocks()
        return
    for index, coord in enumerate(domains.coords()):
        yield from Step(array, last, domains.region(coord), index).blocks()


def _is_stored(
    region: Region, result: BlockResult, path: str, sizes: Sizes, keys: KeyEncoding, grid: ChunkGrid
) -> bool:
    terms = 0
    for coord in grid.coords(region):
        key = keys.key(coord)
        nbytes = sizes(key)
        if nbytes is not None:
            terms = add_terms(terms, key_term(f"{path}/{key}", nbytes))
    return terms == int(result.facts.get("terms", "0"), 16)


def free_intermediates(scratch: Intermediates, stage: Stage) -> None:
    """Remove the intermediate that a finished stage has read."""
    for step in stage.steps if isinstance(stage, RechunkStage) else ():
        if step.pass_index:
            scratch.remove(scratch_name(step.array.path, step.domain, step.pass_index - 1))
