"""Which sessions a run takes: new, failed, skipped, all, or those that are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.records import History
from zarrmill.recordings.session import Session

KINDS = ("new", "failed", "skipped", "all")
"""What can be asked for by state."""
PENDING = ("new", "failed")
"""What a run takes unless something else is said: whatever never succeeded."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A request for sessions.

    >>> Selection(only=("failed",)).kinds, Selection(names=("p01",)).kinds, Selection().kinds
    (('failed',), ('all',), ('new', 'failed'))
    """

    only: Collection[str] = ()
    """States: of KINDS; empty for PENDING, or for all where sessions are named."""
    names: Collection[str] = ()
    """Sessions by id, that of the input or that outside, with the suffix of the file or without; empty for any."""
    max_items: int | None = None
    """The first so many; None for all of them."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.only if kind not in KINDS]
        if unknown:
            raise InvalidInputError(f"sessions that are {unknown[0]!r}: use {', '.join(KINDS)}.")
        if self.max_items is not None and self.max_items < 1:
            raise InvalidInputError(f"{self.max_items} sessions are too few. Give 1 or more, or leave it out.")

    @property
    def kinds(self) -> Collection[str]:
        """The states that are asked for."""
        return self.only or (("all",) if self.names else PENDING)

    @property
    def is_explicit(self) -> bool:
        """Whether something else was asked for than what is left to do."""
        return bool(self.only or self.names)


@dataclass(frozen=True, slots=True)
class Selected:
    """The sessions of a run."""

    sessions: tuple[Session, ...]
    """Those that it takes, in order."""
    states: Mapping[str, str]
    """State of each of them."""
    found: int
    """Sessions below the prefix."""
    found_by_state: Mapping[str, int]
    """The same by state."""
    missing: int
    """Names that no session has."""
    explicit: bool
    """Whether sessions were asked for by name or by state."""

    @property
    def nothing_matched(self) -> bool:
        """Whether no session is what was asked for; that all of them are done already is no such case."""
        return not self.sessions and (self.explicit or not self.found)

    @property
    def nbytes(self) -> int:
        """Size of their inputs."""
        return sum(session.nbytes for session in self.sessions)


def select(sessions: Sequence[Session], histories: Mapping[str, History], selection: Selection) -> Selected:
    """Return the sessions that a request means."""
    states = {s.session_id: histories.get(s.session_id, History()).state for s in sessions}
    wanted, missing = _named(sessions, selection.names)
    kinds = selection.kinds
    chosen = [s for s in wanted if "all" in kinds or states[s.session_id] in kinds][: selection.max_items]
    return Selected(
        tuple(chosen),
        {s.session_id: states[s.session_id] for s in chosen},
        len(sessions),
        dict(sorted(Counter(states.values()).items())),
        missing,
        selection.is_explicit,
    )


def _named(sessions: Sequence[Session], names: Collection[str]) -> tuple[list[Session], int]:
    """Return the sessions that are named, and how many names no session has."""
    if not names:
        return list(sessions), 0
    by_name = {name: session for session in sessions for name in (session.key, session.public_name)}
    # An id wins over the name of another session's file.
    by_name |= {name: session for session in sessions for name in (session.source_id, session.session_id)}
    found = {by_name[name].session_id for name in names if name in by_name}
    return [s for s in sessions if s.session_id in found], sum(1 for name in names if name not in by_name)
