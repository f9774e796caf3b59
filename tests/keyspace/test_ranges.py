"""keyspace/ranges.py: which parts of a value are read together."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from zarrmill.keyspace.ranges import coalesce

RANGES = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50)), max_size=12)


def test_no_ranges_need_no_request() -> None:
    """Nothing is asked for where nothing is wanted."""
    assert coalesce([]) == ([], [])


@given(RANGES, st.integers(0, 30))
def test_spans_cover_the_ranges_and_lie_apart(ranges: list[tuple[int, int]], gap: int) -> None:
    """Each range lies in its span, spans are more than a gap apart, and no byte is read that lies in no gap."""
    spans, places = coalesce(ranges, gap=gap)

    assert all(spans[p][0] <= start and start + n <= spans[p][1] for p, (start, n) in zip(places, ranges, strict=True))
    assert all(b[0] - a[1] > gap for a, b in itertools.pairwise(spans))
    wanted = {byte for start, n in ranges for byte in range(start, start + n)}
    for start, end in spans:
        assert {start, end - 1} <= wanted
        holes = [byte for byte in range(start, end) if not wanted & set(range(byte - gap, byte + 1))]
        assert holes == []
