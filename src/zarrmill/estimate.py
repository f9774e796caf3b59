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
from zarrmill.plan.requests import check_prices
from zarrmill.plan.summary import PlanReport, summarize
from zarrmill.rechunk import plan_rechunk
from zarrmill.store import open_store, options_for

if TYPE_CHECKING:
    from distributed import Client


def estimate(
    source: Any,
    target: Any = None,
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
    prices: Mapping[str, float] | None = None,
    calibrate: bool = True,
) -> PlanReport:
    """Return what ``rechunk`` would do with the same arguments, and the seconds that it would take.

    With ``calibrate`` about half a second goes into measuring: a few chunks of the largest array are read, decoded and
    encoded, and a few MB are written beside the target (in the folder for temporary files without one) and removed.
    The estimate holds for a machine that is as busy as during the measurement, and is within a factor of two for runs
    of a second and more. From a store a few chunks are read as well; nothing is ever written to one, so that what its
    writes take is missing. Without ``calibrate`` only metadata is read, and ``estimated_seconds`` is None.

    Where an end is in a store, the report has the requests that the run will make, and with ``prices`` (of 1,000
    requests by kind, and of a GB that is read as "transfer": ``{"get": 0.0004, "put": 0.005}``) their cost.

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
    check_prices(prices or {})
    if not calibrate:
        return summarize(plan, prices=prices)
    opened = open_store(source, storage_options=options_for("source", storage_options))
    rates = measure_rates(plan, read_hierarchy(opened), opened, folder=_folder(plan.target))
    return summarize(plan, rates=rates, prices=prices)


def _folder(target: str) -> Path:
    """Return a folder on the target's disk in which files can be made, or that for temporary files."""
    # Targets on the local disk are absolute paths; a URL could be taken for a relative one.
    parent = Path(target).parent
    return parent if os.path.isabs(target) and os.access(parent, os.W_OK) else Path(tempfile.gettempdir())
