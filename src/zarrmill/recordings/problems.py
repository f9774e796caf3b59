"""What is found wrong in an input: every finding at once, each with a code, a place and a row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
"""``info`` changes nothing, ``warning`` left something missing, ``error`` made a part unreadable."""
NO_ROW = -1
"""The row of a problem of a whole group, dataset or file."""


@dataclass(frozen=True, slots=True, order=True)
class InputProblem:
    """One finding of a check of an input."""

    path: str
    """Group or dataset in the file, as in ``events/task_started/data``; empty for the file itself."""
    row: int
    """Row within it from 0; -1 for all of it."""
    code: str
    """Stable name, as in ``bad_json``."""
    severity: Severity
    """How much it matters."""
    message: str
    """What is wrong and what became of it, in one line without the text of the row: that may be personal."""

    def to_json(self) -> dict[str, Any]:
        """Return the problem as JSON values."""
        return asdict(self)
