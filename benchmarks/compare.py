"""Compare a result with its source, every value bit for bit, block by block: a job on stdin, a verdict on stdout.

zarr-python reads both, in bounded memory. NaN equal NaN because their bits do.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
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
        differing += _count_differing(source, target, case)
    return Verdict(not differing, differing, remarks)


def _count_differing(source: Any, target: Any, case: ArrayCase) -> int:
    bits = f"u{case.itemsize}"
    block = block_shape(case.shape, case.source_chunks, case.shards, itemsize=case.itemsize, budget=BUDGET)
    return sum(
        int(np.count_nonzero(np.asarray(source[region]).view(bits) != np.asarray(target[region]).view(bits)))
        for region in blocks(case.shape, block)
    )


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
