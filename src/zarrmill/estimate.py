"""What a rechunk would do and how long it would take, told without writing any of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarrmill.calibrate import calibrate as measure_rates
from zarrmill.hierarchy import read_hierarchy
from zarrmill.layout import ShardsRequest, SizesRequest
from zarrmill.plan.summary import PlanReport, summarize
from zarrmill.rechunk import plan_rechunk
from zarrmill.store import open_store

if TYPE_CHECKING:
    from distributed import Client


def estimate(
    source: Any,
    target: str | os.PathLike[str] | None = None,
    *,
    chunks: SizesRequest | None,
    shards: ShardsRequest = "auto",
    codecs: str | Sequence[str] = "keep",
    max_mem: str | int = "1GiB",
    executor: str | Executor | Client | None = None,
    workers: int | None = None,
    verify: str = "full",
    checksum: bool = True,
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    calibrate: bool = True,
) -> PlanReport:
    """Return what ``rechunk`` would do with the same arguments, and the seconds that it would take.

    With ``calibrate`` about half a second goes into measuring: a few chunks of the largest array are read, decoded and
    encoded, and a few MB are written beside the target (in the folder for temporary files without one) and removed.
    The estimate holds for a machine that is as busy as during the measurement, and is within a factor of two for runs
    of a second and more. Without ``calibrate`` only metadata is read, and ``estimated_seconds`` is None.

    Raises the errors of ``rechunk`` that can be told before anything is written.

    >>> import zarr
    >>> folder = tempfile.mkdtemp()
    >>> night = zarr.create_array(f"{folder}/by_epoch.zarr", shape=(100, 30), chunks=(100, 1), dtype="f4")
    >>> report = estimate(night, chunks=(1, -1), shards=None)
    >>> report.bytes_read, report.keys_written, report.estimated_seconds < 10
    (12000, 100, True)
    """
    plan = plan_rechunk(
        source,
        target,
        chunks=chunks,
        shards=shards,
        codecs=codecs,
        max_mem=max_mem,
        executor=executor,
        workers=workers,
        verify=verify,
        checksum=checksum,
        arrays=arrays,
        storage_options=storage_options,
    )
    if not calibrate:
        return summarize(plan)
    opened = open_store(source)
    return summarize(plan, rates=measure_rates(plan, read_hierarchy(opened), opened, folder=_folder(plan.target)))


def _folder(target: str) -> Path:
    """Return a folder on the target's disk in which files can be made, or that for temporary files."""
    parent = Path(target).parent
    return parent if target and os.access(parent, os.W_OK) else Path(tempfile.gettempdir())
