"""``BaseTransform``: one class with the work for one session becomes a command over thousands of them.

A subclass says its name and how to process a session; finding sessions, choosing among them, running them beside each
other, publishing, records, ids and what is left of a kill are the same for all of them.
"""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from zarrmill.execute.executors import place
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.progress import Progress, silent
from zarrmill.recordings.encoded_dataset import encode_dataset
from zarrmill.recordings.identities import Identities
from zarrmill.recordings.outputs import remove_outputs
from zarrmill.recordings.records import Records, SessionRecord
from zarrmill.recordings.save import SavedStore, save_encoded
from zarrmill.recordings.selection import Selected, Selection, select
from zarrmill.recordings.session import SUFFIX, Session, find_sessions
from zarrmill.recordings.session_result import SessionResult
from zarrmill.recordings.session_run import SessionDone, run_sessions
from zarrmill.recordings.session_work import SessionWork
from zarrmill.recordings.transform_options import TransformOptions, check_writable, find_places
from zarrmill.recordings.transform_report import ResetReport, TransformPlan, TransformReport, plan_sessions
from zarrmill.store import open_keys, options_for


def no_message(record: SessionRecord) -> None:
    """Hear of a session and do nothing."""


class BaseTransform(ABC):
    """The work for one session, and what runs it over many.

    ``source`` is the prefix (path or URL) of the inputs, or one input; without a ``destination`` it is a place that has
    them below ``source_prefix``, and stores go to ``destination_prefix`` of it. Subclasses are picklable: another
    process gets a copy.
    """

    name: ClassVar[str]
    """Name of the transform, in records and attributes."""
    version: ClassVar[str] = "1"
    """Version of what it makes."""
    source_suffix: ClassVar[str] = SUFFIX
    """End of the names of its inputs."""
    source_prefix: ClassVar[str] = "curated-h5"
    """Where inputs lie below a place that is given alone."""

    def __init__(
        self,
        source: str | os.PathLike[str],
        destination: str | os.PathLike[str] | None = None,
        *,
        options: TransformOptions | None = None,
    ) -> None:
        self.options = options or TransformOptions()
        prefixes = (self.source_prefix, self.destination_prefix)
        places = find_places(source, destination, suffix=self.source_suffix, prefixes=prefixes)
        of_source, of_target = (options_for(end, self.options.storage_options) for end in ("source", "target"))
        self.source: KeySpace = open_keys(places.source, storage_options=of_source)
        """Keys of the inputs."""
        self.destination: KeySpace = open_keys(places.destination, storage_options=of_target)
        """Keys of the outputs."""
        self.session: Session | None = None
        """The session at work."""
        self.input_facts: dict[str, Any] = {}
        """What is known of its input: path, nbytes, sha256."""
        self.saved: list[str] = []
        """Stores that were saved for it."""
        self._only = places.only

    @abstractmethod
    def process_session(self, session: Session) -> SessionResult:
        """Do the work for one session; whatever it raises fails this session and no other."""

    @property
    def destination_prefix(self) -> str:
        """Where stores go below a place that is given alone."""
        return f"processed/{self.name}"

    @property
    def keep_folder(self) -> Path | None:
        """Folder that keeps downloaded inputs and copies of stores."""
        return self.options.keep_folder

    @property
    def records(self) -> Records:
        """What became of the sessions at each time."""
        return Records(self.destination, self.name)

    def parameters(self) -> dict[str, Any]:
        """Return what the transform was told, as JSON values, for the records."""
        return {}

    @contextmanager
    def open_input(self, session: Session) -> Iterator[Path]:
        """Give the input as a file of the local disk, a download where it lies elsewhere, and note its checksum."""
        keep = None if self.keep_folder is None else self.keep_folder / "inputs"
        with session.open_source(keep=keep) as found:
            facts = {"nbytes": found.facts.nbytes, "sha256": found.facts.sha256}
            self.input_facts = {"path": found.location, **facts}
            yield found.path

    def save_dataset_to_s3_zarr(self, dataset: Any, key: str) -> SavedStore:
        """Write an xarray Dataset or DataTree to one Zarr v3 store below the destination, on S3 or wherever it is.

        It becomes visible as a whole, and an old store stays until then. Ids are replaced in all of it.
        """
        cleaner = self.session.cleaner if self.session is not None and self.session.cleaner.active else None
        store = encode_dataset(dataset, clean=cleaner)
        name = cleaner(key) if cleaner is not None else key
        saved = save_encoded(store, self.destination.below(name), overwrite=True, sync=self.options.sync)
        self.saved.append(name)
        if self.keep_folder is not None:
            save_encoded(store, LocalKeys(self.keep_folder / name), overwrite=True, sync=self.options.sync)
        return saved

    def sessions(self) -> list[Session]:
        """Return every session below the source."""
        ids, only = self.options.identities, self._only
        return find_sessions(self.source, suffix=self.source_suffix, identities=ids, only=only)

    def plan(self, selection: Selection | None = None) -> TransformPlan:
        """Return what ``run`` would do with the same selection; nothing is computed or written."""
        return plan_sessions(*self._ends, self._select(selection or Selection()))

    def run(
        self,
        selection: Selection | None = None,
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: Progress = silent,
        on_session: SessionDone = no_message,
    ) -> TransformReport:
        """Process the sessions of a selection, by default all that never succeeded, and record each.

        ``executor`` is "serial", "threads" (one session at a time either way), "processes", a dask Client or address,
        or any ``concurrent.futures.Executor``. ``on_session`` hears of each session as it ends.
        """
        with closing(place(executor, workers=workers)) as placement:
            selected = self._select(selection or Selection())
            if selected.sessions:
                check_writable(self.destination)
            work = SessionWork(self._for_workers())
            sessions, name = selected.sessions, self.name
            done = run_sessions(work, sessions, name=name, placement=placement, progress=progress, done=on_session)
        counts = (selected.found, selected.missing, selected.nothing_matched)
        return TransformReport(*self._ends, *counts, done.records, done.seconds, done.peak_mem)

    def reset(self, selection: Selection | None = None, *, outputs: bool = False) -> ResetReport:
        """Remove the records of a selection, by default of every session, and with ``outputs`` what they tell of.

        A store goes with the metadata of its root first, so that nothing half-removed opens.
        """
        selected = self._select(selection or Selection(only=("all",)))
        ids = [session.session_id for session in selected.sessions]
        removed = remove_outputs(self.destination, self.records.read(ids)) if outputs else 0
        count = self.records.remove(ids)
        return ResetReport(self.destination.location, len(ids), count, removed, selected.nothing_matched)

    def for_session(self, session: Session) -> BaseTransform:
        """Return a copy of the transform that is at work on one session."""
        mine = copy.copy(self)
        mine.session, mine.saved, mine.input_facts = session, [], {}
        return mine

    @property
    def _ends(self) -> tuple[str, str, str]:
        return self.name, self.source.location, self.destination.location

    def _select(self, selection: Selection) -> Selected:
        return select(self.sessions(), self.records.histories(), selection)

    def _for_workers(self) -> BaseTransform:
        """Return a copy that knows no other session's id."""
        mine = copy.copy(self)
        mine.options = replace(self.options, identities=Identities(), storage_options=None)
        mine._only = None
        return mine
