r"""Text that may be anything: bytes that are not UTF-8 and lone surrogates become escapes, and the way back is exact.

An escaped text has each backslash doubled, ``\xff`` for a byte that is not UTF-8, and ``\ud800`` for a lone surrogate.
A text without either stays as it is, so only a problem beside it says that it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE = re.compile("[\udc80-\udcff]")
_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2})")
NOT_UTF8, LONE_SURROGATE, NUL = "not_utf8", "lone_surrogate", "nul_in_text"
"""What can be odd in a text; the names of the problems."""


def decode(data: bytes) -> tuple[str, bool]:
    r"""Return a text, and whether it had to be escaped because it is not UTF-8.

    >>> decode("né".encode()), decode(b"n\xe9\\")
    (('né', False), ('n\\xe9\\\\', True))
    """
    try:
        return data.decode("utf-8"), False
    except UnicodeDecodeError:
        return escape(data.decode("utf-8", "surrogateescape")), True


def decode_all(column: Sequence[bytes | None]) -> tuple[list[str | None], list[int]]:
    r"""Return texts, and the rows of those that had to be escaped; None stays.

    >>> decode_all([b"n", None, b"n\xe9"])
    (['n', None, 'n\\xe9'], [2])
    """
    try:
        return [None if data is None else data.decode() for data in column], []
    except UnicodeDecodeError:
        found = [(None, False) if data is None else decode(data) for data in column]
        return [text for text, _ in found], [row for row, (_, escaped) in enumerate(found) if escaped]


def escape(text: str) -> str:
    r"""Return a text in which nothing is left that UTF-8 cannot hold.

    >>> escape("a\ud800\\"), escape("𝄞 stays")
    ('a\\ud800\\\\', '𝄞 stays')
    """
    if _SURROGATE.search(text) is None:
        return text
    return _SURROGATE.sub(_escape_one, text.replace("\\", "\\\\"))


def restore(text: str) -> bytes:
    r"""Return the bytes of a text that ``decode`` escaped.

    >>> restore(decode(b"n\xe9\\")[0])
    b'n\xe9\\'
    """
    return _ESCAPE.sub(_restore_one, text).encode("utf-8", "surrogateescape")


def scrub(value: Any) -> tuple[Any, frozenset[str]]:
    r"""Return JSON values with escaped texts, and what was odd in them. A NUL is kept.

    >>> scrub({"title": "a\udc80", "list": ["\x00"]})[0]
    {'title': 'a\\x80', 'list': ['\x00']}
    """
    odd: set[str] = set()
    return _scrub(value, odd), frozenset(odd)


def _scrub(value: Any, odd: set[str]) -> Any:
    if isinstance(value, str):
        return _scrub_text(value, odd)
    if isinstance(value, dict):
        return {_scrub_text(key, odd): _scrub(part, odd) for key, part in value.items()}
    return [_scrub(part, odd) for part in value] if isinstance(value, list) else value


def _scrub_text(text: str, odd: set[str]) -> str:
    if "\0" in text:
        odd.add(NUL)
    if _SURROGATE.search(text) is None:
        return text
    odd.add(LONE_SURROGATE if _SURROGATE.search(_BYTE.sub("", text)) else NOT_UTF8)
    return escape(text)


def _escape_one(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _restore_one(found: re.Match[str]) -> str:
    return "\\" if found[1] == "\\" else chr(int(found[1][1:], 16) + 0xDC00)
