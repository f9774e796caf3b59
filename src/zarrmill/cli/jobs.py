"""The commands for array jobs: run some blocks of a plan, and publish when all are done."""

from __future__ import annotations

import zarrmill
from zarrmill.cli import options, tables
from zarrmill.cli.failures import resumable
from zarrmill.cli.output import open_progress, show


def run(
    plan: options.PlanFile,
    *,
    stage: options.StageNumber,
    blocks: options.BlockRange = None,
    executor: options.Executor = None,
    workers: options.Workers = None,
    scratch: options.Scratch = None,
    sync: options.Sync = True,
    overwrite: options.Overwrite = False,
    storage_option: options.StorageOptions = None,
    progress: options.Progress = options.ProgressChoice.auto,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Run some blocks of a plan, beside other processes that run others; nothing becomes visible.

    Example: zarrmill run plan.json --stage 1 --blocks 0:500
    """
    with resumable(resume=True), open_progress(progress) as client:
        report = zarrmill.run_blocks(
            zarrmill.read_plan(plan),
            stage=stage,
            blocks=options.read_blocks(blocks),
            executor=executor,
            workers=workers,
            scratch=scratch,
            sync=sync,
            overwrite=overwrite,
            storage_options=options.read_storage_options(storage_option),
            progress=client,
        )
    show(report, tables.blocks_tables, as_json=json)


def publish(
    target: options.Target,
    *,
    check: options.CheckOnly = False,
    overwrite: options.Overwrite = False,
    storage_option: options.StorageOptions = None,
    progress: options.Progress = options.ProgressChoice.auto,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Verify the draft of TARGET by the digests of its blocks, and make it visible.

    Example: zarrmill publish by_object.zarr
    """
    given = options.read_storage_options(storage_option)
    with resumable(resume=True), open_progress(progress) as client:
        if check:
            report = zarrmill.check_draft(target, storage_options=given, progress=client)
        else:
            report = zarrmill.publish_draft(target, overwrite=overwrite, storage_options=given, progress=client)
    show(report, tables.rechunk_tables, as_json=json)
