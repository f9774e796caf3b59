"""The commands that change a layout: plan it, and do it."""

from __future__ import annotations

from typing import Any

import zarrmill
from zarrmill.cli import options, tables
from zarrmill.cli.failures import resumable
from zarrmill.cli.output import open_progress, show


def plan(
    source: options.Source,
    target: options.OptionalTarget = None,
    *,
    chunks: options.Chunks = None,
    shards: options.Shards = None,
    codec: options.Codec = "keep",
    array: options.Arrays = None,
    max_mem: options.MaxMem = "1GiB",
    executor: options.Executor = None,
    workers: options.Workers = None,
    verify: options.Verify = options.VerifyChoice.full,
    checksum: options.Checksum = True,
    storage_option: options.StorageOptions = None,
    price: options.Price = None,
    calibrate: options.Calibrate = True,
    update: options.PlanUpdate = False,
    out: options.PlanOut = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what rechunk would do, and what it would cost, without writing anything.

    Example: zarrmill plan survey.zarr --chunks object=1,epoch=-1 --max-mem 2GiB
    """
    asked: dict[str, Any] = {
        "chunks": options.read_chunks(chunks),
        "shards": options.read_shards(shards),
        "codecs": codec,
        "max_mem": max_mem,
        "executor": executor,
        "workers": workers,
        "checksum": checksum,
        "arrays": array,
        "storage_options": options.read_storage_options(storage_option),
    }
    if update:
        options.check_plan_update(target, out=out, price=price)
        show(zarrmill.plan_update(source, target, **asked), tables.update_tables, as_json=json)
        return
    asked["verify"] = verify.value
    if out is not None:
        zarrmill.write_plan(zarrmill.plan_rechunk(source, target, **asked), out)
    report = zarrmill.estimate(source, target, **asked, prices=options.read_prices(price), calibrate=calibrate)
    show(report, tables.plan_tables, as_json=json)


def rechunk(
    source: options.Source,
    target: options.Target,
    *,
    chunks: options.Chunks = None,
    shards: options.Shards = None,
    codec: options.Codec = "keep",
    array: options.Arrays = None,
    max_mem: options.MaxMem = "1GiB",
    executor: options.Executor = None,
    workers: options.Workers = None,
    scratch: options.Scratch = None,
    verify: options.Verify = options.VerifyChoice.full,
    sync: options.Sync = True,
    checksum: options.Checksum = True,
    resume: options.Resume = True,
    overwrite: options.Overwrite = False,
    update: options.Update = False,
    storage_option: options.StorageOptions = None,
    progress: options.Progress = options.ProgressChoice.auto,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Write SOURCE to TARGET in other chunks and shards, within a memory limit, verified, and whole or not at all.

    Example: zarrmill rechunk survey.zarr by_object.zarr --chunks object=1,epoch=-1 --shards object=1000
    """
    with resumable(resume=resume, target=target), open_progress(progress) as client:
        report = zarrmill.rechunk(
            source,
            target,
            chunks=options.read_chunks(chunks),
            shards=options.read_shards(shards),
            codecs=codec,
            max_mem=max_mem,
            executor=executor,
            workers=workers,
            scratch=scratch,
            verify=verify.value,
            sync=sync,
            checksum=checksum,
            resume=resume,
            overwrite=overwrite,
            update=update,
            arrays=array,
            storage_options=options.read_storage_options(storage_option),
            progress=client,
        )
    show(report, tables.rechunk_tables, as_json=json)
