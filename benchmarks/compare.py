"""Compare a result with its source, every value bit for bit, block by block: a job on stdin, a verdict on stdout.

zarr-python reads both, in bounded memory. NaN equal NaN because their bits do. A source is read once: the cryptographic
hashes of its blocks are kept beside it, and a result whose blocks have the same ones is equal.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.blocks import block_shape, blocks
from benchmarks.protocol import Job
from benchmarks.sizes import ArrayCase, Layout

BUDGET = 1 << 30
"""Decoded bytes of one block of either side."""


@dataclass(frozen=True)
class Verdict:
    """What the comparison found."""

    equal: bool
    """Whether every bit of every value is the same."""
    differing: int
    """Values that differ."""
    remarks: list[str]
    """Where the layout or the codecs are not those that were asked for."""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Inverse of `to_json`."""
        return cls(**json.loads(text))


def compare(job: Job) -> Verdict:
    """Compare every array of the target with the source."""
    differing, remarks = 0, []
    for case in job.size.arrays:
        source, target = (zarr.open_array(os.path.join(root, case.path), mode="r") for root in (job.source, job.target))
        name = case.path or "array"
        remarks += [f"{name}: {remark}" for remark in find_layout_remarks(target, case, job.layout)]
        if target.shape != case.shape or target.dtype != source.dtype:
            return Verdict(False, -1, [*remarks, f"{name}: {target.shape} {target.dtype}"])
        differing += _count_differing(source, target, case, known=Hashes(Path(f"{job.source}.hashes"), name))
    return Verdict(not differing, differing, remarks)


class Hashes:
    """The hashes of the blocks of a source, kept in a file beside it."""

    def __init__(self, folder: Path, array: str) -> None:
        self._path = folder / f"{array.replace('/', '.')}.json"
        self._known: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def get(self, source: Any, region: tuple[slice, ...]) -> str:
        """Return the hash of a block, read where it is not known yet."""
        key = str([(part.start, part.stop) for part in region])
        if key not in self._known:
            self._known[key] = hash_of(_bits(source, region))
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(json.dumps(self._known))
        return self._known[key]


def hash_of(bits: Any) -> str:
    """Return the hash of values."""
    return hashlib.blake2b(np.ascontiguousarray(bits).data, digest_size=32).hexdigest()


def _bits(array: Any, region: tuple[slice, ...]) -> Any:
    return np.asarray(array[region]).view(f"u{array.dtype.itemsize}")


def _count_differing(source: Any, target: Any, case: ArrayCase, *, known: Hashes) -> int:
    block = block_shape(case.shape, case.source_chunks, case.shards, itemsize=case.itemsize, budget=BUDGET)
    differing = 0
    for region in blocks(case.shape, block):
        found = _bits(target, region)
        if hash_of(found) != known.get(source, region):
            differing += int(np.count_nonzero(_bits(source, region) != found))
    return differing


def find_layout_remarks(target: Any, case: ArrayCase, layout: Layout) -> list[str]:
    """Differences from the layout and the codecs that every contender is asked for."""
    remarks = []
    if target.chunks != case.chunks:
        remarks.append(f"chunks {target.chunks}")
    wanted_shards = case.shards if layout == "shards" else None
    if target.shards != wanted_shards:
        remarks.append(f"shards {target.shards}")
    codecs = _codec_names(target.metadata.to_dict())
    wanted = ["bytes", "zstd", "crc32c"] if layout == "shards" else ["bytes", "zstd"]
    if codecs != wanted:
        remarks.append(f"codecs {' '.join(codecs)}")
    return remarks


def _codec_names(metadata: dict[str, Any]) -> list[str]:
    """Names of the codecs of the inner chunks; a v2 compressor is preceded by what v3 calls `bytes`."""
    if metadata["zarr_format"] == 2:
        return ["bytes", dict(metadata["compressor"])["id"]]
    codecs = list(metadata["codecs"])
    if codecs[0]["name"] == "sharding_indexed":
        codecs = list(codecs[0]["configuration"]["codecs"])
    return [codec["name"] for codec in codecs]


def main() -> None:
    """Read the job, print the verdict."""
    print(compare(Job.from_json(sys.stdin.read())).to_json())


if __name__ == "__main__":
    main()
