"""Running the signals of one recording: the channels that hold values are found, then every window is made."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zarrmill.execute.executors import Placement
from zarrmill.execute.fence import fenced
from zarrmill.execute.run import run
from zarrmill.plan.model import Stage
from zarrmill.progress import Progress
from zarrmill.recordings.windows.channels import Layout, choose_channels
from zarrmill.recordings.windows.contents import Contents
from zarrmill.recordings.windows.operation import SignalTarget, WindowOperation, WindowStages, unpack_bits
from zarrmill.recordings.windows.settings import WindowSettings
from zarrmill.recordings.windows.stages import eeg_job, fnirs_job, results_of, scan_stage, signal_stage
from zarrmill.recordings.windows.window_plan import WindowPlan
from zarrmill.recordings.windows.window_source import WindowSource
from zarrmill.recordings.windows.window_store import Scheme
from zarrmill.target import RunJournal, Target


class SignalRun:
    """The blocks of one recording."""

    def __init__(
        self,
        source: WindowSource,
        plan: WindowPlan,
        *,
        settings: WindowSettings,
        layout: Layout | None,
        placement: Placement,
    ) -> None:
        self.source = source
        """What is read."""
        self.plan = plan
        """The windows."""
        self.settings = settings
        """What was chosen about them."""
        self.layout = layout
        """Where sources and detectors are."""
        self.placement = placement
        """Where blocks run."""
        self._signals = signal_stage(source, plan, settings)
        self._scan = scan_stage(source) if plan.has_fnirs and layout is None else None

    @property
    def stages(self) -> list[Stage]:
        """The stages in order."""
        return [stage for stage in (self._scan, self._signals) if stage is not None]

    def run(self, target: Target, journal: RunJournal, *, scheme: Scheme, progress: Progress) -> Contents:
        """Run what is left of all stages, and return what the store holds."""
        with ExitStack() as stack:
            folder = target.folder if self.placement.fenced else None
            fence = stack.enter_context(fenced(folder)) if folder is not None else None
            place = partial(SignalTarget, target.keys, scheme=scheme, fence=fence)
            channels = self._find_channels(journal, progress)
            eeg = eeg_job(self.source, self.plan, self.settings)
            fnirs = fnirs_job(self.source, self.plan, self.settings, channels=channels)
            operation = WindowOperation(
                self.placement.threads,
                eeg=None if eeg is None else (eeg[0], place("eeg", eeg[1])),
                fnirs=None
                if fnirs is None
                else (fnirs[0], SignalTarget(target.keys, "fnirs", fnirs[1], scheme, fence)),
            )
            parts = tuple(part for part in self._signals.parts if part[0] == "eeg" or fnirs is not None)
            stages = WindowStages((replace(self._signals, parts=parts),))
            run(stages, operation, placement=self.placement, journal=journal, progress=progress)
        return Contents(
            self.source,
            self.plan,
            settings=self.settings,
            layout=self.layout,
            eeg=eeg,
            fnirs=fnirs,
            results=list(journal),
        )

    def _find_channels(self, journal: RunJournal, progress: Progress) -> NDArray[np.int32]:
        """Return the fNIRS channels that are kept; without a layout all frames are looked through for them."""
        if not self.plan.has_fnirs:
            return np.zeros(0, dtype=np.int32)
        there = self.source.devices["fnirs"].shape[1]
        wanted = choose_channels(self.layout, self.settings)
        wanted = wanted[wanted < there]
        if self._scan is None:
            return wanted
        operation = WindowOperation(self.placement.threads, scan=self.source.frames("fnirs"))
        run(WindowStages((self._scan,)), operation, placement=self.placement, journal=journal, progress=progress)
        ever = np.zeros(there, dtype=bool)
        for result in results_of(journal, "scan"):
            ever |= unpack_bits(result.facts["ever"], there)
        return wanted[ever[wanted]]
