"""Comparing two stores: metadata as JSON, values bit for bit and in bounded memory; the findings are problems."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.differences import Comparison, Difference, Memory, differing_boxes, say_both, share_memory
from zarrmill.digest import ArrayDigest
from zarrmill.digests import advance_by, stored_arrays
from zarrmill.errors import SourceFormatError
from zarrmill.execute.executors import place
from zarrmill.execute.opening import StoredArray
from zarrmill.execute.workshop import MemoryMeter
from zarrmill.grid import Coord, Region
from zarrmill.hierarchy import Hierarchy, Node, read_hierarchy
from zarrmill.progress import BlockFinished, Progress, RunFinished, RunStarted, StageStarted, StepStarted, silent
from zarrmill.store import OpenedStore, open_store, options_for
from zarrmill.units import parse_bytes

MOST_REGIONS = 10
"""Differing regions that are named per array; that there are more is said."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a comparison."""

    code: str
    """Stable word: missing_array, extra_array, missing_group, extra_group, shape, dtype, dims, fill_value, attributes,
    values, unreadable."""
    path: str
    """The node, "" for the root."""
    message: str
    """What is different, with both sides."""
    region: str | None = None
    """Where values differ, as ``[0:2, 5:9]``."""
    index: Coord | None = None
    """Index of the first value that differs in there."""
    differing: int | None = None
    """Number of values that differ in there."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The outcome of a comparison."""

    a: str
    """Location of the first store."""
    b: str
    """Location of the second store."""
    problems: tuple[Problem, ...]
    """The findings; none when the stores hold the same."""
    arrays: int
    """Arrays that both stores have."""
    values: int
    """Values compared."""
    max_mem: int
    """Limit in bytes."""
    peak_mem: int
    """Largest memory above start, in bytes."""
    seconds: float
    """Wall time."""

    @property
    def equal(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "equal": self.equal}


def verify(
    a: Any,
    b: Any,
    *,
    max_mem: str | int = "256MiB",
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Compare two stores, of either format and in any layout: nodes, types, attributes and every value bit for bit.

    One NaN differs from another of other bits, and -0.0 from 0.0. Each chunk is decoded once for digests; only where
    these differ chunks are read again, to name the first regions of each array that differ. Layout, codecs and
    consolidated metadata may differ. A chunk that cannot be decoded is a problem, not an error. ``storage_options`` are
    those of ``open_store``, for both or, in mappings named "source" and "target", for the first and the second.

    Raises NotFoundError, SourceFormatError (metadata that cannot be read), and MemoryLimitError, before any chunk is
    read, which names the smallest limit that would do.

    >>> import zarr, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for name, chunks in (("a", (1, 6)), ("b", (4, 2))):
    ...     zarr.create_array(f"{folder}/{name}", shape=(4, 6), chunks=chunks, dtype="i4")[:] = 7
    >>> verify(f"{folder}/a", f"{folder}/b").equal
    True
    >>> zarr.open_array(f"{folder}/b")[2, 3] = 8
    >>> verify(f"{folder}/a", f"{folder}/b").problems[0].message
    'array: 1 of 1 values differ in [2:3, 3:4], the first at (2, 3): 7 in the first store, 8 in the second'
    """
    begun, tell, meter, limit = time.perf_counter(), progress or silent, MemoryMeter(), parse_bytes(max_mem)
    opened = (
        open_store(a, storage_options=options_for("source", storage_options)),
        open_store(b, storage_options=options_for("target", storage_options)),
    )
    hierarchies = read_hierarchy(opened[0]), read_hierarchy(opened[1])
    problems = [*find_node_problems(*hierarchies), *find_metadata_problems(*hierarchies)]
    pairs = _pairs(opened, hierarchies)
    problems += [problem for path, pair in pairs.items() for problem in find_array_problems(path, *pair)]
    values = _Values(_comparable(pairs), opened, limit, tell, meter)
    found = list(values.find_problems())
    seconds = time.perf_counter() - begun
    tell(RunFinished(seconds, meter.peak()))
    return VerifyReport(
        a=opened[0].location,
        b=opened[1].location,
        problems=(*problems, *found),
        arrays=len(pairs),
        values=values.compared,
        max_mem=limit,
        peak_mem=meter.peak(),
        seconds=seconds,
    )


Pair = tuple[StoredArray, StoredArray]
"""One array in both stores."""


def _pairs(opened: tuple[OpenedStore, OpenedStore], hierarchies: tuple[Hierarchy, Hierarchy]) -> dict[str, Pair]:
    """Return the arrays that both stores have, by path."""
    first, second = (stored_arrays(o, h) for o, h in zip(opened, hierarchies, strict=True))
    return {path: (array, second[path]) for path, array in first.items() if path in second}


def _comparable(pairs: Mapping[str, Pair]) -> dict[str, Pair]:
    """Return the pairs of one shape and type: values of others have nothing to be compared with."""
    return {path: (a, b) for path, (a, b) in pairs.items() if a.layout.shape == b.layout.shape and _type(a) == _type(b)}


def _type(array: StoredArray) -> tuple[str, Any]:
    return array.layout.dtype, array.dtype


def find_node_problems(first: Hierarchy, second: Hierarchy) -> Iterator[Problem]:
    """Yield what only one of the stores has; an array in one that is a group in the other is two findings."""
    for path in sorted({*first.nodes, *second.nodes}):
        one, two = first.nodes.get(path), second.nodes.get(path)
        if one is not None and two is not None and one.kind == two.kind:
            continue
        if one is not None:
            yield Problem(f"missing_{one.kind}", path, f"{_say(path, one)}: only in the first store")
        if two is not None:
            yield Problem(f"extra_{two.kind}", path, f"{_say(path, two)}: only in the second store")


def find_metadata_problems(first: Hierarchy, second: Hierarchy) -> Iterator[Problem]:
    """Yield differences of the attributes of the nodes that both stores have, one per attribute."""
    for path, one in first.nodes.items():
        two = second.nodes.get(path)
        if two is None or two.kind != one.kind:
            continue
        texts = [_attribute_texts(node) for node in (one, two)]
        for name in sorted({*texts[0], *texts[1]}):
            sides = [text.get(name) for text in texts]
            if sides[0] != sides[1]:
                before, after = (_short(side) if side is not None else "nothing" for side in sides)
                message = f"{_say(path, one)}: attribute {name!r} is {before} in the first store, {after} in the second"
                yield Problem("attributes", path, message)


def _attribute_texts(node: Node) -> dict[str, str]:
    # As text, because Python takes 1, 1.0 and true for equal, and NaN for different from itself.
    attributes = node.metadata.get("attributes") or {}
    return {name: json.dumps(value, sort_keys=True) for name, value in attributes.items()}


def _say(path: str, node: Node) -> str:
    return path or f"the root {node.kind}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def find_array_problems(path: str, first: StoredArray, second: StoredArray) -> Iterator[Problem]:
    """Yield differences of shape, type, dimension names and fill value."""
    name, one, two = path or "array", first.layout, second.layout
    if one.shape != two.shape:
        yield Problem("shape", path, f"{name}: shape {one.shape} in the first store, {two.shape} in the second")
    dims = [layout.dims if any(layout.dims or ()) else None for layout in (one, two)]
    if dims[0] != dims[1]:
        yield Problem("dims", path, f"{name}: dimensions {dims[0]} in the first store, {dims[1]} in the second")
    if _type(first) != _type(second):
        yield Problem("dtype", path, f"{name}: dtype {one.dtype} in the first store, {two.dtype} in the second")
        return
    # The digest of one value tells its bits, whatever its type.
    bits = [ArrayDigest((), one.dtype).share(array.fill, ()) for array in (first, second)]
    if bits[0] != bits[1]:
        values = say_both(first.fill, second.fill)
        message = f"{name}: fill value {values[0]} in the first store, {values[1]} in the second"
        yield Problem("fill_value", path, message)


class _Values:
    """The comparison of the values of the arrays that two stores have in common."""

    def __init__(
        self,
        pairs: Mapping[str, Pair],
        opened: tuple[OpenedStore, OpenedStore],
        max_mem: int,
        tell: Progress,
        meter: MemoryMeter,
    ) -> None:
        self._pairs = pairs
        self._opened = opened
        self._max_mem = max_mem
        self._tell = tell
        self._meter = meter
        self._threads = place("threads").threads
        # Before anything is read, so that a limit that is too small is told at once.
        self._memory = {path: self._share(pair) for path, pair in pairs.items()}
        self.compared = 0

    def _share(self, pair: Pair) -> Memory:
        return share_memory(*pair, max_mem=self._max_mem, threads=self._threads)

    def find_problems(self) -> Iterator[Problem]:
        """Yield what differs: first all arrays are read once, then those that differ are looked into."""
        weight = sum(2 * first.layout.nbytes for first, _ in self._pairs.values())
        self._tell(RunStarted(1, len(self._pairs), weight, 0, 0, self._max_mem, 1))
        self._tell(StageStarted(0, "compare", len(self._pairs)))
        differing = {}
        for path in self._pairs:
            with self._open(path) as comparison:
                problems, differing[path] = self._read(path, comparison)
            yield from problems
            self._tell(BlockFinished(path or "array", 0, self._meter.now(), self._meter.peak()))
        for path, boxes in differing.items():
            if boxes:
                self._tell(StepStarted(f"find what differs in {path or 'the array'}"))
                with self._open(path) as comparison:
                    yield from self._look_into(path, boxes, comparison)

    @contextmanager
    def _open(self, path: str) -> Iterator[Comparison]:
        """Return the comparison of one array, with no more threads than its memory allows."""
        memory = self._memory[path]
        with ThreadPoolExecutor(memory.threads, thread_name_prefix="zarrmill") as pool:
            yield Comparison(*self._pairs[path], memory=memory, pool=pool)

    def _read(self, path: str, comparison: Comparison) -> tuple[list[Problem], list[Region]]:
        """Read both arrays once; return the problems of reading, and the boxes whose digests differ."""
        grid, problems, sums = comparison.grid(), [], []
        for side in range(2):
            try:
                sums.append(comparison.sums(side, grid, advance_by(self._tell, self._meter)))
            except SourceFormatError as error:
                problems.append(Problem("unreadable", path, f"{self._opened[side].location}: {error}"))
        if problems:
            return problems, []
        self.compared += grid.domain.size
        return [], differing_boxes(grid, *sums)

    def _look_into(self, path: str, boxes: list[Region], comparison: Comparison) -> Iterator[Problem]:
        """Yield the first regions that differ, and that there are more."""
        named = 0
        try:
            for number, box in enumerate(boxes):
                for difference in comparison.find(box):
                    if named == MOST_REGIONS:
                        message = f"{path or 'array'}: values differ in at least {len(boxes) - number:,} more regions"
                        yield Problem("values", path, message)
                        return
                    yield value_problem(path, difference)
                    named += 1
        except SourceFormatError as error:
            yield Problem("unreadable", path, str(error))


def value_problem(path: str, found: Difference) -> Problem:
    """Return a difference of values as a problem."""
    name, size = path or "array", math.prod(found.region.shape)
    if found.first is None or found.second is None:
        message = (
            f"{name}: {found.region} differed when it was read first and not when it was read again. "
            f"Something writes to a store, or memory or a disk is faulty."
        )
        return Problem("values", path, message, str(found.region))
    one, two = say_both(found.first, found.second)
    message = (
        f"{name}: {found.differing:,} of {size:,} values differ in {found.region}, the first at {found.index}: "
        f"{one} in the first store, {two} in the second"
    )
    return Problem("values", path, message, str(found.region), found.index, found.differing)
