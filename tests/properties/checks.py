"""The properties that every rechunk has, each as one named check."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import zarr

from tests.properties.cases import full, native, quiet, read, regions, same_bits
from zarrmill.execute.keys import key_term
from zarrmill.grid import ChunkGrid, Region
from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.rechunk import RechunkPlan


def check_plan(plan: RechunkPlan) -> None:
    """Check everything that a plan promises."""
    check_memory_is_within_the_limit(plan)
    check_blocks_cover_the_target_once(plan)
    check_no_keys_are_shared(plan)
    check_block_ids_are_unique(plan)
    check_tiles_cover_their_block_once(plan)
    check_json_round_trip(plan)
    check_weights_add_up(plan)


def check_memory_is_within_the_limit(plan: RechunkPlan) -> None:
    """Every pass of every array is projected within ``max_mem``."""
    assert plan.projected_mem <= plan.max_mem
    assert all(p.projected_mem <= plan.projected_mem for array in plan.arrays for p in array.passes)


def _final_regions(plan: RechunkPlan, array: ArrayPlan) -> list[Region]:
    last = len(array.passes) - 1
    payloads = [block.payload for stage in plan.stages for block in stage.blocks()]
    return [p.region for p in payloads if (p.array, p.pass_index) == (array.path, last)]


def check_blocks_cover_the_target_once(plan: RechunkPlan) -> None:
    """Each value of the target is written by one block, and each intermediate by one block of its pass."""
    for array in plan.arrays:
        for index in range(len(array.passes)):
            written = np.zeros(array.target.shape, dtype=int)
            for stage in plan.stages:
                for block in stage.blocks():
                    if (block.payload.array, block.payload.pass_index) == (array.path, index):
                        written[block.payload.region.slices] += 1
            assert (written == 1).all()


def check_no_keys_are_shared(plan: RechunkPlan) -> None:
    """No two blocks write a value of the same write chunk."""
    for array in plan.arrays:
        keys = ChunkGrid.over(array.target.shape, array.target.write_chunk)
        owners = Counter(coord for region in _final_regions(plan, array) for coord in keys.coords(region))
        assert set(owners.values()) <= {1}
        assert len(owners) == len(keys)


def check_block_ids_are_unique(plan: RechunkPlan) -> None:
    """A block's id stands for it alone, and enumerating the plan again gives the same blocks."""
    blocks = [block for stage in plan.stages for block in stage.blocks()]
    ids = [block.id for block in blocks]

    assert len(set(ids)) == len(ids) == plan.n_blocks
    assert blocks == [block for stage in plan.stages for block in stage.blocks()]


def check_tiles_cover_their_block_once(plan: RechunkPlan) -> None:
    """The tiles of a block lie in it, cover it, and where they are encoded hold whole chunks."""
    arrays = {array.path: array for array in plan.arrays}
    for stage in plan.stages:
        for block in stage.blocks():
            payload, array = block.payload, arrays[block.payload.array]
            this_pass = array.passes[payload.pass_index]
            grid = array.tile_grid(payload.pass_index, payload.domain)
            tiles = [grid.region(coord) for coord in grid.coords(payload.region)]
            assert sum(tile.size for tile in tiles) == payload.region.size
            assert all(tile.intersect(payload.region) in (tile, None) for tile in tiles)
            if this_pass.writes == "stored":
                whole = array.target.write_chunk if array.write_route == "zarr" else array.target.chunks
                for tile in tiles:
                    ends = zip(tile.start, tile.stop, whole, array.target.shape, strict=True)
                    assert all(a % w == 0 and (b % w == 0 or b == n) for a, b, w, n in ends)


def check_json_round_trip(plan: RechunkPlan) -> None:
    """A plan is the same after a round trip through JSON text."""
    assert RechunkPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def check_weights_add_up(plan: RechunkPlan) -> None:
    """The weight of a stage is that of its blocks."""
    for stage in plan.stages:
        blocks = list(stage.blocks())
        assert sum(block.weight for block in blocks) == stage.weight
        assert len(blocks) == len(stage)


def check_same_values(target: Path, expected: np.ndarray) -> None:
    """Zarr-python reads from the target what went into the source, bit for bit."""
    assert same_bits(read(target), expected)


def check_same_metadata(source: Path, target: Path) -> None:
    """Type, fill value, attributes and dimension names are the source's; the format is 3."""
    with quiet():
        before, after = zarr.open_array(source, mode="r"), zarr.open_array(target, mode="r")
        assert after.metadata.zarr_format == 3
        assert after.shape == before.shape
        assert after.dtype == native(before.dtype)
        fills = [full((), array.fill_value, native(array.dtype)) for array in (before, after)]
        assert same_bits(*fills)
        assert dict(after.attrs) == dict(before.attrs)
        if before.metadata.zarr_format == 3:
            assert after.metadata.dimension_names == before.metadata.dimension_names


def stored_keys(path: Path) -> dict[str, int]:
    """Return the sizes of the keys of an array, metadata and records left out."""
    return {
        os.path.relpath(os.path.join(folder, name), path): os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
        if name not in ("zarr.json", ".zarray", ".zattrs", ".zgroup", "zarrmill.json")
    }


def check_only_what_differs_is_stored(target: Path, expected: np.ndarray) -> None:
    """A write chunk is stored if, and only if, it holds something else than the fill value, by bits."""
    with quiet():
        array = zarr.open_array(target, mode="r")
        write_chunk = array.shards or array.chunks
        fill = full(expected.shape, array.fill_value, expected.dtype)
    wanted = sum(not same_bits(expected[(*r, ...)], fill[(*r, ...)]) for r in regions(expected.shape, write_chunk))

    assert len(stored_keys(target)) == wanted


def check_missing_stay_missing(source: Path, target: Path) -> None:
    """A write chunk of the target has a key only where the source has one."""
    with quiet():
        before, after = zarr.open_array(source, mode="r"), zarr.open_array(target, mode="r")
        stored = set(stored_keys(source))
        present = np.zeros(before.shape, dtype=bool)
        for coord, region in _grid(before):
            present[region] = before.metadata.encode_chunk_key(coord) in stored
        kept = set(stored_keys(target))
        for coord, region in _grid(after):
            assert present[region].any() or after.metadata.encode_chunk_key(coord) not in kept


def _grid(array):
    write_chunk = array.shards or array.chunks
    ranges = [range(-(-n // c)) for n, c in zip(array.shape, write_chunk, strict=True)]
    return zip(itertools.product(*ranges), regions(array.shape, write_chunk), strict=True)


def check_same_stores(*targets: Path) -> None:
    """Stores are the same, key by key and byte by byte."""
    first, *others = ({key: (t / key).read_bytes() for key in [*stored_keys(t), "zarr.json"]} for t in targets)
    for other in others:
        assert other == first


def fingerprint(path: Path) -> int:
    """Return the additive fingerprint of the stored keys of a root array."""
    return sum(key_term(f"/{key}", nbytes) for key, nbytes in stored_keys(path).items()) % 2**64
