"""Parts of one version of a value, with the store's tag of it."""

from __future__ import annotations

VALUE = bytes(range(100))


def test_parts_and_the_end(keys):
    """Parts in the order asked for, and the last bytes; a missing key is None."""
    keys.put("a", VALUE)
    parts, _ = keys.get_tagged("a", [(50, 10), (0, 3), (98, 9)])
    (end,), _ = keys.get_tagged("a", [(-4, 4)])

    assert [bytes(part) for part in parts] == [VALUE[50:60], VALUE[:3], VALUE[98:]]
    assert bytes(end) == VALUE[-4:]
    assert bytes(keys.get_tagged("a", [(-400, 400)])[0][0]) == VALUE
    assert keys.get_tagged("b", [(0, 3)]) is None
    assert keys.get_tagged("b", [(-3, 3)]) is None


def test_the_tag_is_that_of_the_version(keys):
    """Where a store has tags, it is the one that ``head`` tells, and another one after the value was replaced."""
    keys.put("a", VALUE)
    tags = {keys.get_tagged("a", [span])[1] for span in ((0, 3), (-3, 3), (20, 20))}
    assert tags == {keys.head("a").etag}
    keys.put("a", VALUE[::-1])
    after = keys.get_tagged("a", [(0, 3)])[1]

    assert after == keys.head("a").etag
    assert after is None or after not in tags
