"""One row of JSON text: its text as stored and its object, whatever is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from zarrmill.recordings.texts import LONE_SURROGATE, NOT_UTF8, NUL, decode, scrub

_MESSAGES = {
    NOT_UTF8: "the JSON text is not UTF-8; it is kept with escapes",
    LONE_SURROGATE: "a text in the JSON has half of a surrogate pair; it is kept as an escape",
    NUL: "a text in the JSON has a NUL character; it is kept",
}
_SCAN = json.JSONDecoder().raw_decode


class JsonRow(NamedTuple):
    """A row that was read."""

    payload: str
    """The text as stored, escaped where it was not UTF-8."""
    data: Mapping[str, Any] | None
    """The object; None where there is none."""
    faults: tuple[tuple[str, str], ...] = ()
    """Code and message of what is wrong."""


def parse_row(raw: bytes) -> JsonRow:
    r"""Return the object of a row, and what is wrong with the row; never raises.

    >>> parse_row(b'{"task_id": 5}').data
    {'task_id': 5}
    >>> parse_row(b'{"task_id": 5').faults
    (('bad_json', "no JSON: Expecting ',' delimiter at character 13; the text is kept"),)
    """
    try:
        payload = raw.decode()
        value, end = _SCAN(payload)
        if end == len(payload) and isinstance(value, dict) and b"\\u" not in raw:
            return JsonRow(payload, value)
    except (ValueError, RecursionError):
        pass
    return _parse_odd(raw)


def _parse_odd(raw: bytes) -> JsonRow:
    """Return a row that is more, or less, than one object without space around it and without escapes."""
    payload, escaped = decode(raw)
    faults = [NOT_UTF8] if escaped else []
    try:
        # An escaped text has doubled backslashes, which would be read as others.
        value = json.loads(raw.decode("utf-8", "surrogateescape") if escaped else payload)
    # A number of too many digits is a ValueError, and a text of brackets alone goes too deep.
    except (ValueError, RecursionError) as error:
        return JsonRow(payload, None, (*_say(faults), ("bad_json", f"no JSON: {_explain(error)}; the text is kept")))
    if escaped or b"\\u" in raw:
        value, odd = scrub(value)
        faults += sorted(odd - {NOT_UTF8} | ({LONE_SURROGATE} if NOT_UTF8 in odd and not escaped else set()))
    if isinstance(value, dict):
        return JsonRow(payload, value, _say(faults))
    code, message = _name_value(value)
    return JsonRow(payload, None, (*_say(faults), (code, message)))


def _say(codes: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((code, _MESSAGES[code]) for code in codes)


def _name_value(value: object) -> tuple[str, str]:
    if value is None:
        return "null_payload", "the JSON is null; all of its values are missing"
    names = {list: "an array", str: "a text", bool: "a boolean"}
    return "not_an_object", f"the JSON is {names.get(type(value), 'a number')} and no object; the text is kept"


def _explain(error: Exception) -> str:
    """Return what is wrong without a word of the text, which may be personal."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.split(':')[0]} at character {error.pos}"
    return "nested too deeply" if isinstance(error, RecursionError) else "a number of too many digits"
