"""Unique keys for rows whose ids may come up again or be missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SEPARATOR = "#"
"""What stands between an id and the number of its occurrence."""


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Keys of the rows of a table."""

    keys: tuple[str, ...]
    """A unique name per row."""
    numbers: tuple[int | None, ...]
    """How often the row's id has come up so far, from 1; None where it has no id."""


def number_occurrences(ids: Sequence[str | None], *, table: str) -> Occurrences:
    """Return a unique key per row: the id itself, from the second time on with its number, made up where it is missing.

    >>> number_occurrences(["a", "b", "a", None], table="task").keys
    ('a', 'b', 'a#2', 'task-3')
    """
    taken = {name for name in ids if name is not None}
    seen: Counter[str] = Counter()
    keys: list[str] = []
    numbers: list[int | None] = []
    for row, name in enumerate(ids):
        if name is None:
            keys.append(_free(f"{table}-{row}", taken))
            numbers.append(None)
            continue
        seen[name] += 1
        keys.append(name if seen[name] == 1 else _free(f"{name}{SEPARATOR}{seen[name]}", taken))
        numbers.append(seen[name])
    return Occurrences(tuple(keys), tuple(numbers))


def _free(key: str, taken: set[str]) -> str:
    """Return the key, or a longer one where another row goes by it, and take it."""
    while key in taken:
        key += SEPARATOR
    taken.add(key)
    return key
