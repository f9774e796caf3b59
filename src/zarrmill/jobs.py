"""Array jobs: the blocks of a plan run by many processes that know nothing of each other, without a scheduler.

Each runs a slice of one stage; what is done stands in the journal of the draft that they share. When all stages are
done, one process checks them by the digests in the journal, and publishes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarrmill.draft import Draft
from zarrmill.errors import InvalidInputError, NotFoundError, PlanError
from zarrmill.execute.executors import place
from zarrmill.icechunk_repository import is_icechunk
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.prepare import prepare_planned
from zarrmill.progress import Progress, silent
from zarrmill.report import RechunkReport
from zarrmill.shared_work import BlocksReport, SharedWork
from zarrmill.store import is_local, local_path, open_new, open_store, options_for
from zarrmill.store_draft import StoreDraft
from zarrmill.target import open_target

if TYPE_CHECKING:
    from distributed import Client


def read_plan(path: str | os.PathLike[str]) -> RechunkPlan:
    """Return the plan in a file that ``write_plan`` made. Raises NotFoundError, PlanError."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"there is no plan at {path}. Make one with zarrmill plan --out.") from None
    except ValueError as error:
        raise PlanError(f"{path} is not a plan: {error}") from error
    if not isinstance(data, dict) or "arrays" not in data:
        raise PlanError(f"{path} is not a plan of zarrmill. Make one with zarrmill plan --out.")
    return RechunkPlan.from_json(data)


def write_plan(plan: RechunkPlan, path: str | os.PathLike[str]) -> None:
    """Write a plan to a file, whole or not at all."""
    if not plan.target:
        raise InvalidInputError("a plan without a target cannot be run. Name the target when it is made.")
    _check_shared(plan.target)
    temporary = Path(f"{os.fspath(path)}.tmp")
    temporary.write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")
    os.replace(temporary, path)


def run_blocks(
    plan: RechunkPlan,
    *,
    stage: int,
    blocks: slice = slice(None),
    executor: str | Executor | Client | None = None,
    workers: int | None = None,
    scratch: str | os.PathLike[str] | None = None,
    sync: bool = True,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> BlocksReport:
    """Run some blocks of one stage of a plan, beside other processes that run others; nothing becomes visible.

    ``stage`` counts from 1, and one is refused until the journal shows those before it complete. ``blocks`` are
    counted from 0, all by default; those that are done are not done again. The other arguments are those of
    ``rechunk``; several hosts need a ``scratch`` that all of them see, as the default is beside a target that they see.

    Raises InvalidInputError for stages and blocks that the plan has not, ResumeError for a stage before its turn, and
    what ``rechunk`` raises.
    """
    _check_shared(plan.target)
    stages = plan.stages
    if not 1 <= stage <= len(stages):
        raise InvalidInputError(f"there is no stage {stage}: the plan has {len(stages)}, counted from 1.")
    count = len(stages[stage - 1])
    if (blocks.start or 0) >= count > 0 or blocks.step not in (None, 1):
        raise InvalidInputError(f"there are no blocks {_say(blocks)}: stage {stage} has {count}, counted from 0.")
    with closing(place(executor, workers=workers)) as placement:
        work = _work(plan, placement, scratch, sync, overwrite, storage_options)
        with closing(work):
            return work.do_blocks(stage - 1, blocks, progress=progress or silent)


def check_draft(
    target: Any, *, storage_options: Mapping[str, Any] | None = None, progress: Progress | None = None
) -> RechunkReport:
    """Verify a complete draft by the digests in its journal and a listing of its keys; nothing becomes visible.

    Raises NotFoundError without a draft, ResumeError when blocks are left, VerifyError, PublishError.
    """
    return _finish(target, publish=False, overwrite=True, storage_options=storage_options, progress=progress)


def publish_draft(
    target: Any,
    *,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RechunkReport:
    """Verify a complete draft as ``check_draft`` does and make it visible. Raises AlreadyExistsError besides."""
    return _finish(target, publish=True, overwrite=overwrite, storage_options=storage_options, progress=progress)


def _finish(
    target: Any,
    *,
    publish: bool,
    overwrite: bool,
    storage_options: Mapping[str, Any] | None,
    progress: Progress | None,
) -> RechunkReport:
    plan = _claimed_plan(target, storage_options)
    with closing(place("serial")) as placement:
        work = _work(plan, placement, None, True, overwrite, storage_options)
        with closing(work):
            return work.finish(progress=progress or silent, publish=publish)


def _claimed_plan(target: Any, storage_options: Mapping[str, Any] | None) -> RechunkPlan:
    """Return the plan that the draft of a target was claimed for."""
    _check_shared(target)
    if isinstance(target, str | os.PathLike) and is_local(os.fspath(target)):
        draft: Draft | StoreDraft = Draft(local_path(os.fspath(target)))
    else:
        draft = StoreDraft(open_new(target, storage_options=options_for("target", storage_options)).keys)
    found = draft.read_claim()
    if found is None:
        raise NotFoundError(f"there is no draft of {target}. Run its blocks first (zarrmill run).")
    return RechunkPlan.from_json(found[0].plan)


def _work(
    plan: RechunkPlan,
    placement: Any,
    scratch: str | os.PathLike[str] | None,
    sync: bool,
    overwrite: bool,
    storage_options: Mapping[str, Any] | None,
) -> SharedWork:
    opened = open_store(plan.source, storage_options=options_for("source", storage_options))
    options = options_for("target", storage_options)
    target = open_target(plan.target, opened, overwrite=overwrite, storage_options=options)
    intermediates = target.choose_scratch(scratch, spread=True)
    return SharedWork(plan, prepare_planned(opened, plan), target, placement, intermediates, sync)


def _say(blocks: slice) -> str:
    return f"{'' if blocks.start is None else blocks.start}:{'' if blocks.stop is None else blocks.stop}"


def _check_shared(target: Any) -> None:
    """Raise InvalidInputError for a target that one process alone can write."""
    if is_icechunk(target):
        raise InvalidInputError(
            "array jobs cannot write to an icechunk repository: its session lives in one process. Use zarrmill rechunk."
        )
