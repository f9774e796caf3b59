"""``EventTransform``: curated sessions become event tables, one Zarr store per session.

Its steps are public, and pure where they can be: open a recording and ``extract`` its events, ``process`` them, make a
Dataset or a tree of groups, save that.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, Literal, get_args

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.collector import paused_collector
from zarrmill.recordings.dataset import create_dataset, create_tree
from zarrmill.recordings.model import SourceFacts
from zarrmill.recordings.processing import ProcessedEvents, extract, process
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.session import Session
from zarrmill.recordings.session_result import SessionResult
from zarrmill.recordings.settings import DEFAULT_SETTINGS, EventSettings
from zarrmill.recordings.transform import BaseTransform
from zarrmill.recordings.transform_options import TransformOptions

Layout = Literal["flat", "tree"]
"""``flat``: one Dataset whose names have the table as prefix; ``tree``: a group for each table."""


class EventTransform(BaseTransform):
    """Writes ``<session_id>_events.zarr`` for every curated file: tasks, elements, segments, raw events and issues.

    ``EventTransform("s3://bucket")`` reads ``curated-h5/`` there and writes to ``processed/event/``.
    """

    name = "event"
    version = "1"

    def __init__(
        self,
        source: str | os.PathLike[str],
        destination: str | os.PathLike[str] | None = None,
        *,
        layout: Layout = "flat",
        settings: EventSettings = DEFAULT_SETTINGS,
        options: TransformOptions | None = None,
    ) -> None:
        if layout not in get_args(Layout):
            raise InvalidInputError(f"layout {layout!r} is not known. Use {' or '.join(get_args(Layout))}.")
        super().__init__(source, destination, options=options)
        self.layout = layout
        self.settings = settings

    def parameters(self) -> dict[str, Any]:
        """Return layout and type map."""
        return {"layout": self.layout, "event_types": self.settings.to_json()}

    def process_session(self, session: Session) -> SessionResult:
        """Read one curated file, and write its tables."""
        with self.open_input(session) as path:
            processed = self._read(path, session.session_id)
        saved = self.save_dataset_to_s3_zarr(self.create(processed), self.key_of(session))
        return SessionResult(
            metadata={**_counts(processed), "layout": self.layout, "stored_bytes": saved.nbytes},
            problems=processed.problems,
        )

    @paused_collector()
    def _read(self, path: Path, session_id: str) -> ProcessedEvents:
        """Return the tables of one curated file; its events are gone when the collector may look again."""
        with open_recording(path) as recording:
            extracted = extract(recording)
        return process(
            extracted.events,
            session_id=session_id,
            start_time=extracted.start_time,
            settings=self.settings,
            problems=extracted.problems,
        )

    def create(self, processed: ProcessedEvents) -> Any:
        """Return the xarray Dataset, or DataTree, of the tables of the session at work."""
        create = create_dataset if self.layout == "flat" else create_tree
        return create(processed, source=self._source_facts())

    def key_of(self, session: Session) -> str:
        """Return the key of the store of a session below the destination."""
        return f"{session.session_id}_events.zarr"

    def _source_facts(self) -> SourceFacts | None:
        if self.session is None or not self.input_facts:
            return None
        return SourceFacts(self.session.public_name, self.input_facts["nbytes"], self.input_facts["sha256"])


def _counts(processed: ProcessedEvents) -> dict[str, int]:
    severities = Counter(problem.severity for problem in processed.problems)
    rows = {name: count for name, count in processed.counts.items() if name.endswith("_count")}
    return {**rows, **{f"{severity}_count": severities[severity] for severity in ("info", "warning", "error")}}
