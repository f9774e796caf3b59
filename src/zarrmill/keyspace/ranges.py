"""Which parts of a value are read together."""

from __future__ import annotations

from collections.abc import Sequence

GAP_BYTES = 256 * 1024
"""Bytes between two parts that are read along rather than asked for apart: what a connection of 100 MB/s brings in a
tenth of the 25 ms that a request takes to a near object store."""

Span = tuple[int, int]
"""Start and end of what one request reads."""


def coalesce(ranges: Sequence[tuple[int, int]], *, gap: int = GAP_BYTES) -> tuple[list[Span], list[int]]:
    """Return the spans that cover the ranges (start, nbytes), in order, and for each range the number of its span.

    >>> coalesce([(50, 10), (0, 10), (15, 5), (55, 1), (70, 0)], gap=5)
    ([(0, 20), (50, 60), (70, 70)], [1, 0, 0, 1, 2])
    """
    spans: list[Span] = []
    places = [0] * len(ranges)
    for place in sorted(range(len(ranges)), key=lambda i: ranges[i]):
        start, nbytes = ranges[place]
        if spans and start - spans[-1][1] <= gap:
            spans[-1] = (spans[-1][0], max(spans[-1][1], start + nbytes))
        else:
            spans.append((start, start + nbytes))
        places[place] = len(spans) - 1
    return spans, places
