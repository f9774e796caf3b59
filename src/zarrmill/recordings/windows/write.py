"""``write_windows``: the signals of an open recording as windows in a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from zarrmill.execute.executors import Placement, place
from zarrmill.keyspace import KeySpace
from zarrmill.progress import Progress, silent
from zarrmill.recordings.windows.channels import Layout, read_layout
from zarrmill.recordings.windows.conversion import Conduct, convert
from zarrmill.recordings.windows.settings import DEFAULT_SETTINGS, WindowSettings
from zarrmill.recordings.windows.window_report import WindowReport
from zarrmill.recordings.windows.window_source import WindowSource
from zarrmill.store import open_keys

if TYPE_CHECKING:
    from distributed import Client

    from zarrmill.recordings.recording import Recording

LayoutRequest = Layout | str | os.PathLike[str] | None
"""Where sources and detectors are: made already, in a file, or not known."""


def write_windows(
    recording: Recording,
    target: str | os.PathLike[str] | KeySpace,
    *,
    settings: WindowSettings = DEFAULT_SETTINGS,
    layout: LayoutRequest = None,
    executor: str | Executor | Client | Placement | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> WindowReport:
    """Write the EEG and fNIRS of a recording as windows to a Zarr v3 store at a path or URL.

    Memory does not grow with the recording: about 0.3 GB for fNIRS of 248,832 channels. The store is visible when all
    of it is there; a run that was stopped goes on after its finished blocks. ``layout`` tells where sources and
    detectors are, by which channels are chosen; without one all channels that ever hold a finite value are kept, for
    which the file is read once more. ``executor`` is that of a rechunk.

    A recording without windows writes nothing, and the report's notes say why. Raises AlreadyExistsError unless
    ``overwrite``, InvalidInputError, SourceFormatError, ResumeError, BlockFailedError, PublishError.
    """
    source = WindowSource(
        recording.session_id, recording.path, recording.location, recording.source, dict(recording.devices)
    )
    keys = open_keys(target, storage_options=storage_options) if isinstance(target, str | os.PathLike) else target
    placement = executor if isinstance(executor, Placement) else place(executor)
    with closing(placement):
        return convert(
            source,
            keys,
            settings=settings,
            layout=open_layout(layout),
            placement=placement,
            conduct=Conduct(overwrite=overwrite),
            progress=progress,
        )


def open_layout(layout: LayoutRequest) -> Layout | None:
    """Return a layout, read where a file is named."""
    return layout if layout is None or isinstance(layout, Layout) else read_layout(layout)
