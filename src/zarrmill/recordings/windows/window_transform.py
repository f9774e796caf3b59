"""``WindowTransform``: curated sessions become windows of EEG and fNIRS, one Zarr store per session."""

from __future__ import annotations

import os
from typing import Any

from zarrmill.execute.executors import Placement, place
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.progress import silent
from zarrmill.recordings.model import SourceFacts
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.session import Session
from zarrmill.recordings.session_result import SessionResult
from zarrmill.recordings.transform import BaseTransform
from zarrmill.recordings.transform_options import TransformOptions
from zarrmill.recordings.windows.conversion import Conduct, convert
from zarrmill.recordings.windows.settings import DEFAULT_SETTINGS, WindowSettings
from zarrmill.recordings.windows.window_report import WindowReport
from zarrmill.recordings.windows.window_source import WindowSource
from zarrmill.recordings.windows.write import LayoutRequest, open_layout


class WindowTransform(BaseTransform):
    """Writes ``<session_id>_windowed.zarr`` for every curated file.

    ``WindowTransform("s3://bucket")`` reads ``curated-h5/`` there and writes to ``processed/windows/``. A session that
    was stopped goes on after its finished blocks, unless ``resume`` is False. A session without a frame that has a time
    is skipped, and told why.
    """

    name = "window"
    version = "1"

    def __init__(
        self,
        source: str | os.PathLike[str],
        destination: str | os.PathLike[str] | None = None,
        *,
        settings: WindowSettings = DEFAULT_SETTINGS,
        layout: LayoutRequest = None,
        threads: int | None = None,
        resume: bool = True,
        options: TransformOptions | None = None,
    ) -> None:
        super().__init__(source, destination, options=options)
        self.settings = settings
        self.layout = open_layout(layout)
        self.threads = threads
        self.resume = resume

    @property
    def destination_prefix(self) -> str:
        """Where stores go below a place that is given alone."""
        return "processed/windows"

    def parameters(self) -> dict[str, Any]:
        """Return the settings, and the digest of the layout."""
        return {**self.settings.to_json(), "layout": None if self.layout is None else self.layout.digest()}

    def process_session(self, session: Session) -> SessionResult:
        """Plan and write the windows of one curated file."""
        with self.open_input(session) as path, open_recording(path) as recording:
            facts = SourceFacts(session.public_name, self.input_facts["nbytes"], self.input_facts["sha256"])
            source = WindowSource(session.session_id, path, session.input_location, facts, dict(recording.devices))
            key = self.key_of(session)
            report = self._convert(source, self.destination.below(key))
            if report.windows and self.keep_folder is not None:
                self._convert(source, LocalKeys(self.keep_folder / key))
            problems = recording.problems
        if not report.windows:
            return SessionResult("skipped", problems=problems, message="; ".join(report.notes))
        return SessionResult(metadata=_figures(report), zarr_stores=(key,), problems=problems)

    def key_of(self, session: Session) -> str:
        """Return the key of the store of a session below the destination."""
        return f"{session.session_id}_windowed.zarr"

    def _convert(self, source: WindowSource, target: KeySpace) -> WindowReport:
        return convert(
            source,
            target,
            settings=self.settings,
            layout=self.layout,
            placement=self._placement(),
            conduct=Conduct(overwrite=True, resume=self.resume, sync=self.options.sync),
            progress=silent,
        )

    def _placement(self) -> Placement:
        """Return where the blocks of a session run: in this process, one after the other, by some threads."""
        return place("threads", workers=self.threads)


def _figures(report: WindowReport) -> dict[str, Any]:
    names = ("windows", "eeg_valid", "fnirs_valid", "fnirs_channels", "bytes_written", "resumed_blocks")
    return {**{name: getattr(report, name) for name in names}, "notes": list(report.notes)}
