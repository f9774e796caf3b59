"""Recordings: curated HDF5 sessions of events and signals, turned into one Zarr store per session.

Public names are imported on first use, so that nothing that a program does not need is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarrmill.recordings.dataset import create_dataset, create_tree
    from zarrmill.recordings.device import Device
    from zarrmill.recordings.event_reader import Events, open_events
    from zarrmill.recordings.event_transform import EventTransform
    from zarrmill.recordings.event_verify import VerifyEventsReport, verify_events
    from zarrmill.recordings.exports.bids import BidsName, export_bids
    from zarrmill.recordings.exports.mne import export_mne
    from zarrmill.recordings.exports.nwb import export_nwb
    from zarrmill.recordings.identities import Identities, read_id_map
    from zarrmill.recordings.import_hdf5 import import_event_file
    from zarrmill.recordings.inspection import RecordingInfo, inspect_recording
    from zarrmill.recordings.model import EventRow, SourceFacts
    from zarrmill.recordings.problems import InputProblem
    from zarrmill.recordings.processing import ExtractedEvents, ProcessedEvents, extract, process
    from zarrmill.recordings.recording import Recording, open_recording
    from zarrmill.recordings.records import SessionRecord
    from zarrmill.recordings.records_report import RecordsReport, report_records
    from zarrmill.recordings.save import SavedStore, save_dataset
    from zarrmill.recordings.selection import Selection
    from zarrmill.recordings.session import Session
    from zarrmill.recordings.session_result import SessionFailedError, SessionResult
    from zarrmill.recordings.session_timeline import SessionTimeline, open_timeline
    from zarrmill.recordings.settings import EventPair, EventSettings
    from zarrmill.recordings.timeline import plot_timeline
    from zarrmill.recordings.transform import BaseTransform
    from zarrmill.recordings.transform_options import TransformOptions
    from zarrmill.recordings.transform_report import ResetReport, TransformPlan, TransformReport
    from zarrmill.recordings.validation import ValidationReport, validate, validate_files
    from zarrmill.recordings.windows.batches import Batch, WindowChunks, iter_batches
    from zarrmill.recordings.windows.query import select_windows
    from zarrmill.recordings.windows.settings import FilterSettings, WindowSettings
    from zarrmill.recordings.windows.window_plan import WindowPlan, plan_windows
    from zarrmill.recordings.windows.window_reader import open_windows
    from zarrmill.recordings.windows.window_report import WindowReport
    from zarrmill.recordings.windows.window_transform import WindowTransform
    from zarrmill.recordings.windows.write import write_windows

__all__ = [
    "BaseTransform",
    "Batch",
    "BidsName",
    "Device",
    "EventPair",
    "EventRow",
    "EventSettings",
    "EventTransform",
    "Events",
    "ExtractedEvents",
    "FilterSettings",
    "Identities",
    "InputProblem",
    "ProcessedEvents",
    "Recording",
    "RecordingInfo",
    "RecordsReport",
    "ResetReport",
    "SavedStore",
    "Selection",
    "Session",
    "SessionFailedError",
    "SessionRecord",
    "SessionResult",
    "SessionTimeline",
    "SourceFacts",
    "TransformOptions",
    "TransformPlan",
    "TransformReport",
    "ValidationReport",
    "VerifyEventsReport",
    "WindowChunks",
    "WindowPlan",
    "WindowReport",
    "WindowSettings",
    "WindowTransform",
    "create_dataset",
    "create_tree",
    "export_bids",
    "export_mne",
    "export_nwb",
    "extract",
    "import_event_file",
    "inspect_recording",
    "iter_batches",
    "open_events",
    "open_recording",
    "open_timeline",
    "open_windows",
    "plan_windows",
    "plot_timeline",
    "process",
    "read_id_map",
    "report_records",
    "save_dataset",
    "select_windows",
    "validate",
    "validate_files",
    "verify_events",
    "write_windows",
]

_HOMES = {
    "BaseTransform": "transform",
    "Batch": "windows.batches",
    "BidsName": "exports.bids",
    "Device": "device",
    "EventPair": "settings",
    "EventRow": "model",
    "EventSettings": "settings",
    "EventTransform": "event_transform",
    "Events": "event_reader",
    "ExtractedEvents": "processing",
    "FilterSettings": "windows.settings",
    "Identities": "identities",
    "InputProblem": "problems",
    "ProcessedEvents": "processing",
    "Recording": "recording",
    "RecordingInfo": "inspection",
    "RecordsReport": "records_report",
    "ResetReport": "transform_report",
    "SavedStore": "save",
    "Selection": "selection",
    "Session": "session",
    "SessionFailedError": "session_result",
    "SessionRecord": "records",
    "SessionResult": "session_result",
    "SessionTimeline": "session_timeline",
    "SourceFacts": "model",
    "TransformOptions": "transform_options",
    "TransformPlan": "transform_report",
    "TransformReport": "transform_report",
    "ValidationReport": "validation",
    "VerifyEventsReport": "event_verify",
    "WindowChunks": "windows.batches",
    "WindowPlan": "windows.window_plan",
    "WindowReport": "windows.window_report",
    "WindowSettings": "windows.settings",
    "WindowTransform": "windows.window_transform",
    "create_dataset": "dataset",
    "create_tree": "dataset",
    "export_bids": "exports.bids",
    "export_mne": "exports.mne",
    "export_nwb": "exports.nwb",
    "extract": "processing",
    "import_event_file": "import_hdf5",
    "inspect_recording": "inspection",
    "iter_batches": "windows.batches",
    "open_events": "event_reader",
    "open_recording": "recording",
    "open_timeline": "session_timeline",
    "open_windows": "windows.window_reader",
    "plan_windows": "windows.window_plan",
    "plot_timeline": "timeline",
    "process": "processing",
    "read_id_map": "identities",
    "report_records": "records_report",
    "save_dataset": "save",
    "select_windows": "windows.query",
    "validate": "validation",
    "validate_files": "validation",
    "verify_events": "event_verify",
    "write_windows": "windows.write",
}
"""The module that holds each public name."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
