"""zarrmill: chunked scientific data from the shape in which it was recorded into the shape in which it is read.

Public names are imported on first use, so that the command line starts before numpy and zarr do.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from zarrmill.errors import (
    AlreadyExistsError,
    BlockFailedError,
    InvalidInputError,
    MemoryLimitError,
    NotFoundError,
    PlanError,
    PublishError,
    ResumeError,
    SourceChangedError,
    SourceFormatError,
    VerifyError,
    ZarrmillError,
)
from zarrmill.version import __version__ as __version__

if TYPE_CHECKING:
    from zarrmill.digests import DigestReport, digest, digest_report
    from zarrmill.discard import DiscardReport, discard
    from zarrmill.estimate import estimate
    from zarrmill.info import ArrayInfo, DraftInfo, InfoReport, info
    from zarrmill.jobs import check_draft, publish_draft, read_plan, run_blocks, write_plan
    from zarrmill.plan.rechunk import RechunkPlan
    from zarrmill.plan.summary import PlanReport
    from zarrmill.rechunk import plan_rechunk, plan_update, rechunk
    from zarrmill.report import RechunkReport
    from zarrmill.shared_work import BlocksReport
    from zarrmill.store import open_store
    from zarrmill.update_report import UpdateReport
    from zarrmill.verify import Problem, VerifyReport, verify


__all__ = [
    "AlreadyExistsError",
    "ArrayInfo",
    "BlockFailedError",
    "BlocksReport",
    "DigestReport",
    "DiscardReport",
    "DraftInfo",
    "InfoReport",
    "InvalidInputError",
    "MemoryLimitError",
    "NotFoundError",
    "PlanError",
    "PlanReport",
    "Problem",
    "PublishError",
    "RechunkPlan",
    "RechunkReport",
    "ResumeError",
    "SourceChangedError",
    "SourceFormatError",
    "UpdateReport",
    "VerifyError",
    "VerifyReport",
    "ZarrmillError",
    "check_draft",
    "digest",
    "digest_report",
    "discard",
    "estimate",
    "info",
    "open_store",
    "plan_rechunk",
    "plan_update",
    "publish_draft",
    "read_plan",
    "rechunk",
    "run_blocks",
    "verify",
    "write_plan",
]

_HOMES = {
    "ArrayInfo": "info",
    "BlocksReport": "shared_work",
    "DigestReport": "digests",
    "DiscardReport": "discard",
    "DraftInfo": "info",
    "InfoReport": "info",
    "PlanReport": "plan.summary",
    "Problem": "verify",
    "RechunkPlan": "plan.rechunk",
    "RechunkReport": "report",
    "UpdateReport": "update_report",
    "VerifyReport": "verify",
    "check_draft": "jobs",
    "digest": "digests",
    "digest_report": "digests",
    "discard": "discard",
    "estimate": "estimate",
    "info": "info",
    "open_store": "store",
    "plan_rechunk": "rechunk",
    "plan_update": "rechunk",
    "publish_draft": "jobs",
    "read_plan": "jobs",
    "rechunk": "rechunk",
    "run_blocks": "jobs",
    "write_plan": "jobs",
    "verify": "verify",
}
"""The module that holds each public name that is imported on first use."""

_MODULES = ("compat", "demo", "lightcurves", "progress", "recordings", "testing")
"""Public modules that are reached as attributes."""


class _Package(ModuleType):
    """Finds public names on first use; a submodule of the same name never takes the place of a function."""

    def __getattr__(self, name: str) -> Any:
        if name in _MODULES:
            return import_module(f"zarrmill.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'zarrmill' has no attribute {name!r}")
        value = getattr(import_module(f"zarrmill.{_HOMES[name]}"), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds a submodule to its package: zarrmill.rechunk would cease to be the function.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
