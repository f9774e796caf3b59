"""Typed values from the JSON of an event: None, '' and 0 are three things, and a value of a wrong type is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Any

from zarrmill.recordings.event_codes import severity_of
from zarrmill.recordings.model import EventRow
from zarrmill.recordings.problems import InputProblem
from zarrmill.recordings.texts import escape

MOST = 2**31 - 1
"""Largest whole number of a table."""
_NAMES = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Payload:
    """The JSON object of one event. Names go down the levels, of which each may be missing or null."""

    event: EventRow
    """The event."""
    problems: list[InputProblem]
    """Where wrong values are reported."""

    def value(self, *names: str) -> Any:
        """Return what is there, or None for what is missing or null at any level."""
        value: Any = self.event.data
        for depth, name in enumerate(names):
            if value is None:
                return None
            # The check of a plain dict first, as that of a Mapping takes most of the time of reading a value.
            if not isinstance(value, dict) and not isinstance(value, Mapping):
                self._wrong(names[:depth], value, "an object")
                return None
            value = value.get(name)
        return value

    def text(self, *names: str) -> str | None:
        """Return a text or a whole number as text; what no UTF-8 can hold is escaped and reported."""
        value = self.value(*names)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            self._wrong(names, value, "a text")
            return None
        return value if value is None or value.isascii() else self._escape(names, value)

    def integer(self, *names: str) -> int | None:
        """Return a whole number from 0 on; a number such as 3.0 is one."""
        value = self.value(*names)
        if value is None or _is_missing(value):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(names, value, "a whole number")
            return None
        if value != value // 1 or not 0 <= value <= MOST:
            self._report("out_of_range", names, f"is not a whole number from 0 to {MOST}: missing")
            return None
        return int(value)

    def number(self, *names: str) -> float | None:
        """Return a finite number."""
        value = self.value(*names)
        if value is None or _is_missing(value):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(names, value, "a number")
            return None
        try:
            number = float(value)
        except OverflowError:
            number = inf
        if isfinite(number):
            return number
        self._report("out_of_range", names, "is no number that a float64 holds: missing")
        return None

    def flag(self, *names: str) -> bool | None:
        """Return a boolean, for which 0 and 1 may stand."""
        value = self.value(*names)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) and value in (0, 1):
            return bool(value)
        self._wrong(names, value, "a boolean")
        return None

    def _escape(self, names: tuple[str, ...], value: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self._report("lone_surrogate", names, "has characters that no UTF-8 can hold: kept escaped")
            return escape(value)
        return value

    def _wrong(self, names: tuple[str, ...], value: Any, wanted: str) -> None:
        self._report("wrong_json_type", names, f"is {_NAMES.get(type(value), 'no JSON')}, not {wanted}: missing")

    def _report(self, code: str, names: tuple[str, ...], message: str) -> None:
        path = f"events/{self.event.event_type}/data"
        said = f"{'.'.join(names) or 'the object'} {message}"
        self.problems.append(InputProblem(path, self.event.row, code, severity_of(code), said))


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
