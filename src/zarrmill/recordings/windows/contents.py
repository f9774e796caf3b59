"""What a store of windows holds besides its signals: arrays by window, tables of channels, attributes, metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.layout import ArrayLayout
from zarrmill.plan.model import BlockResult
from zarrmill.recordings.windows.channels import Layout, describe_channels
from zarrmill.recordings.windows.eeg_stream import EegJob
from zarrmill.recordings.windows.fnirs_stream import FnirsJob
from zarrmill.recordings.windows.operation import unpack_bits
from zarrmill.recordings.windows.reasons import Reason, Reasons
from zarrmill.recordings.windows.settings import WindowSettings
from zarrmill.recordings.windows.stages import results_of, span_of
from zarrmill.recordings.windows.window_plan import WindowPlan
from zarrmill.recordings.windows.window_source import WindowSource
from zarrmill.recordings.windows.window_store import (
    EEG_DIMS,
    FNIRS_DIMS,
    STORAGE_FORMAT,
    Scheme,
    SmallArray,
    all_documents,
    eeg_channel_arrays,
    fnirs_channel_arrays,
    signal_document,
    window_arrays,
)
from zarrmill.version import __version__

TRANSFORM, VERSION = "window", "1"
"""Name of the transform, and version of what it makes."""


class Contents:
    """A store of windows once its signals are written."""

    def __init__(
        self,
        source: WindowSource,
        plan: WindowPlan,
        *,
        settings: WindowSettings,
        layout: Layout | None,
        eeg: tuple[EegJob, ArrayLayout] | None,
        fnirs: tuple[FnirsJob, ArrayLayout] | None,
        results: Sequence[BlockResult],
    ) -> None:
        self._source = source
        self._settings = settings
        self._layout = layout
        self._eeg = eeg
        self._fnirs = fnirs
        self.results = results
        """What the blocks did."""
        self.plan = self._with_values(plan)
        """The plan, with windows marked in whose frames there are no values."""

    def _with_values(self, plan: WindowPlan) -> WindowPlan:
        eeg = self._marked(plan.eeg.reasons, "eeg", found=self._eeg is not None)
        fnirs = self._marked(plan.fnirs.reasons, "fnirs", found=self._fnirs is not None)
        return replace(plan, eeg=replace(plan.eeg, reasons=eeg), fnirs=replace(plan.fnirs, reasons=fnirs))

    def _marked(self, reasons: Reasons, kind: str, *, found: bool) -> Reasons:
        """Return reasons in which windows without values are not valid."""
        finite = np.zeros(len(reasons), dtype=bool)
        for result in results_of(self.results, kind) if found else ():
            start, stop = span_of(result.block)
            finite[start:stop] = unpack_bits(result.facts["finite"], stop - start)
        made = reasons.copy()
        made[(reasons == Reason.VALID) & ~finite] = Reason.NOT_FINITE
        return made

    @property
    def fnirs_channels(self) -> int:
        """Number of fNIRS channels kept."""
        return 0 if self._fnirs is None else len(self._fnirs[0].channels)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know."""
        if not self.plan.has_fnirs:
            return self.plan.notes
        if self._fnirs is None:
            note = "no fNIRS channel that is kept holds a finite value: the signal is absent"
        elif self._layout is None:
            note = (
                f"no layout is given: all {self.fnirs_channels} fNIRS channels that ever hold a finite value are kept"
            )
        else:
            return self.plan.notes
        return (*self.plan.notes, note)

    @property
    def small(self) -> list[SmallArray]:
        """The arrays that are one key each."""
        found = list(window_arrays(self.plan))
        if self._eeg is not None:
            channels = self._eeg[0].channels
            found += eeg_channel_arrays(channels, self._any("eeg", "ever", len(channels)))
        if self._fnirs is not None:
            table = describe_channels(self._fnirs[0].channels)
            count = len(table.index)
            distance = np.full(count, np.nan) if self._layout is None else self._layout.distances(table)
            ever, incomplete = self._any("fnirs", "ever", count), ~self._all("fnirs", "always", count)
            found += fnirs_channel_arrays(table, distance=distance, valid=ever, complete=ever & ~incomplete)
        return found

    def _any(self, kind: str, fact: str, count: int) -> NDArray[np.bool_]:
        parts = [unpack_bits(result.facts[fact], count) for result in results_of(self.results, kind)]
        return np.any(parts, axis=0) if parts else np.zeros(count, dtype=bool)

    def _all(self, kind: str, fact: str, count: int) -> NDArray[np.bool_]:
        parts = [unpack_bits(result.facts[fact], count) for result in results_of(self.results, kind)]
        return np.all(parts, axis=0) if parts else np.zeros(count, dtype=bool)

    def documents(self, created: str, scheme: Scheme) -> dict[str, bytes]:
        """Return the metadata of every node by path, for chunks that are named by a scheme."""
        documents = {array.path: array.document() for array in self.small}
        if self._eeg is not None:
            scale = "linear"
            documents["eeg"] = signal_document(self._eeg[1], dims=EEG_DIMS, about="EEG of the window", scale=scale)
        if self._fnirs is not None:
            scale = self._settings.scale
            about = "fNIRS frame of the window"
            documents["fnirs"] = signal_document(self._fnirs[1], dims=FNIRS_DIMS, about=about, scale=scale)
        return all_documents(documents, self.attributes(created), scheme=scheme)

    def attributes(self, created: str) -> dict[str, Any]:
        """Return the attributes of the root: who, from what, how, and where the devices overlap."""
        plan, facts = self.plan, self._source.facts
        eeg_start, eeg_end = plan.used(plan.eeg.frames)
        fnirs_start, fnirs_end = plan.used(plan.fnirs.frames)
        made = self._settings.filter
        return {
            "session_id": self._source.session_id,
            "transform": TRANSFORM,
            "version": VERSION,
            "zarrmill_version": __version__,
            "created_at": created,
            "source_name": facts.name,
            "source_size": facts.nbytes,
            "source_sha256": facts.sha256,
            "Conventions": "CF-1.11",
            "storage_format": STORAGE_FORMAT,
            "master_eeg_start_idx": eeg_start,
            "master_eeg_end_idx": eeg_end,
            "master_fnirs_start_idx": fnirs_start,
            "master_fnirs_end_idx": fnirs_end,
            "slice_start": plan.common[0],
            "slice_end": plan.common[1],
            "window_ms": plan.period_ms,
            "frames_per_window": plan.frames_per_window,
            "eeg_filter": "none" if made is None else _say_filter(made.low_hz, made.high_hz, made.order),
            "fnirs_scale": self._settings.scale,
            "fnirs_layout": "none" if self._layout is None else self._layout.digest(),
            "settings": json.dumps(self._settings.to_json()),
            "summary": json.dumps(plan.to_json()),
            "notes": list(self.notes),
        }


def _say_filter(low: float, high: float, order: int) -> str:
    return f"Butterworth {low:g}-{high:g} Hz of order {order}, forward and backward in every contiguous run"
