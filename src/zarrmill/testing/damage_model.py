"""What a damage of a curated file is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Damage:
    """One fault, and what must be found for it."""

    says: str
    """What is wrong, in a sentence's part."""
    apply: Callable[[Path], None]
    """Changes a file."""
    problems: tuple[tuple[str, str, int], ...] = ()
    """Code, path and row of what opening the file must report; none where only the meaning of events is odd."""
    fatal: bool = False
    """Whether the file cannot be opened at all."""

    def __call__(self, path: str | Path) -> None:
        """Damage a file in place."""
        self.apply(Path(path))
