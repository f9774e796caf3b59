"""What a run over the signals of one recording did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.recordings.windows.window_plan import WindowPlan


@dataclass(frozen=True, slots=True)
class WindowReport:
    """Windows of one recording, written."""

    target: str
    """Where the store is; nothing is there when there are no windows."""
    session_id: str
    """Session that it is of."""
    windows: int
    """Windows written."""
    eeg_valid: int
    """Windows with valid EEG."""
    fnirs_valid: int
    """Windows with valid fNIRS."""
    fnirs_channels: int
    """fNIRS channels kept."""
    plan: dict[str, Any]
    """Summary of the plan: counts by reason, periods, spans."""
    blocks: int
    """Blocks of work."""
    resumed_blocks: int
    """Those that an earlier run had done."""
    bytes_written: int
    """Stored bytes of the signals."""
    keys_written: int
    """Stored keys of the signals."""
    seconds: float
    """Wall time."""
    peak_mem: int
    """Largest memory above start of a process that ran blocks, in bytes; 0 where the system does not tell."""
    notes: tuple[str, ...] = ()
    """What people should know."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    @classmethod
    def empty(cls, target: str, session_id: str, plan: WindowPlan) -> WindowReport:
        """Return the report of a recording without windows, of which nothing is written."""
        figures: dict[str, Any] = dict.fromkeys(_FIGURES, 0)
        said: dict[str, Any] = {"plan": plan.to_json(), "notes": plan.notes}
        return cls(target=target, session_id=session_id, seconds=0.0, **said, **figures)


_FIGURES = (
    "windows", "eeg_valid", "fnirs_valid", "fnirs_channels", "blocks", "resumed_blocks", "bytes_written",
    "keys_written", "peak_mem",
)  # fmt: skip
