"""Words for numbers: byte sizes ("2GiB") and sizes by dimension ("time=-1,lat=10") or by axis ("1,-1,2")."""

from __future__ import annotations

import re

from zarrmill.errors import InvalidInputError

_FACTORS = {
    "": 1, "b": 1,
    "k": 1000, "kb": 1000, "m": 1000**2, "mb": 1000**2, "g": 1000**3, "gb": 1000**3, "t": 1000**4, "tb": 1000**4,
    "ki": 1024, "kib": 1024, "mi": 1024**2, "mib": 1024**2, "gi": 1024**3, "gib": 1024**3,
    "ti": 1024**4, "tib": 1024**4,
}  # fmt: skip
_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)\s*")


def parse_bytes(text: str | float) -> int:
    """Return a number of bytes from an integer or from text with a decimal (MB) or binary (MiB) unit.

    Raises InvalidInputError for anything else.

    >>> parse_bytes("2GiB"), parse_bytes("1.5 MB"), parse_bytes(4096)
    (2147483648, 1500000, 4096)
    """
    if isinstance(text, int | float):
        number, unit = float(text), ""
    else:
        found = _SIZE.fullmatch(text)
        number, unit = (float(found[1]), found[2].lower()) if found else (0.0, "?")
    if unit not in _FACTORS or not 1 <= number * _FACTORS[unit] < 2**63:
        raise InvalidInputError(f"{text!r} is not a size in bytes. Write a positive number with a unit: 512MiB, 2GiB.")
    return int(number * _FACTORS[unit])


def format_bytes(number: int) -> str:
    """Return bytes in the binary unit that leaves the fewest digits.

    >>> format_bytes(3 * 1024**3 + 100_000_000), format_bytes(512)
    ('3.1 GiB', '512 B')
    """
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it.

    >>> format_seconds(0.0314), format_seconds(75), format_seconds(7380)
    ('0.03 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def parse_sizes(text: str) -> dict[str, int] | tuple[int, ...]:
    """Return sizes by dimension name or, where there is no ``=``, by axis.

    >>> parse_sizes("object=1,epoch=-1"), parse_sizes("1,-1,2")
    ({'object': 1, 'epoch': -1}, (1, -1, 2))
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    named = ["=" in part for part in parts]
    try:
        if parts and all(named):
            pairs = [part.split("=", 1) for part in parts]
            return {name.strip(): int(size) for name, size in pairs}
        if parts and not any(named):
            return tuple(int(part) for part in parts)
    except ValueError:
        pass
    raise InvalidInputError(f"{text!r} is not a list of sizes. Write object=1,epoch=-1 by dimension or 1,-1 by axis.")
