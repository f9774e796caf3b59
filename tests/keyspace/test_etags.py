"""keyspace/etags.py: what was damaged on the way is read again, and what is no checksum is believed no more."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator

import pytest

from zarrmill.errors import StoreUnavailableError
from zarrmill.keyspace.etags import EtagCheck, Reading

GOOD = b"as it was written"
ETAG = f'"{hashlib.md5(GOOD).hexdigest()}"'


def reading(data: bytes, etag: str | None = ETAG) -> Reading:
    return memoryview(data), etag


def readings(*values: bytes | None) -> Callable[[], Reading | None]:
    waiting: Iterator[bytes | None] = iter(values)

    def read() -> Reading | None:
        value = next(waiting)
        return None if value is None else reading(value)

    return read


ETAGS = {
    "its MD5": (ETAG, True),
    "its MD5 without quotes": (ETAG.strip('"'), True),
    "its MD5 in capitals": (ETAG.upper(), True),
    "another MD5": (f'"{"0" * 32}"', False),
    "of parts": (f'"{"0" * 32}-2"', True),
    "of Azure": ('"0x8DBE5E4D1F2A3B4"', True),
    "weak": (f'W/"{"0" * 32}"', True),
    "none": (None, True),
}


@pytest.mark.parametrize(("etag", "passes"), ETAGS.values(), ids=ETAGS)
def test_only_an_md5_is_compared(etag: str | None, passes: bool) -> None:
    """A value passes when its ETag is its MD5, or none at all."""
    assert EtagCheck().passes(reading(GOOD, etag)) is passes


def test_nothing_is_compared_when_told_so() -> None:
    """A check that is switched off lets everything pass, in another process too."""
    off = pickle.loads(pickle.dumps(EtagCheck(active=False)))

    assert off.passes(reading(b"other"))
    assert pickle.loads(pickle.dumps(EtagCheck())).active


def test_the_second_reading_may_be_right() -> None:
    """One reading that was damaged costs one more, and the check goes on."""
    check = EtagCheck()

    assert check.settle(reading(b"damaged"), readings(GOOD), "s3://b/k") == GOOD
    assert check.active


def test_the_same_bytes_twice_are_the_value() -> None:
    """An ETag that is no MD5 of what comes every time says nothing, here and for every other value."""
    check = EtagCheck()

    assert check.settle(reading(b"encrypted"), readings(b"encrypted"), "s3://b/k") == b"encrypted"
    assert check.passes(reading(b"encrypted too"))


def test_two_of_three_are_the_value() -> None:
    """Two equal readings outvote a third, without an end to the check: the first of them was damaged after all."""
    check = EtagCheck()

    assert check.settle(reading(b"damaged"), readings(b"again", b"again"), "s3://b/k") == b"again"
    assert check.active


def test_three_different_values_are_an_error() -> None:
    """When nothing agrees, nothing is returned; the message has the key and a remedy."""
    with pytest.raises(StoreUnavailableError, match=r"s3://b/k: three readings .* \(1, 2, 3 bytes\).*https endpoint"):
        EtagCheck().settle(reading(b"1"), readings(b"22", b"333"), "s3://b/k")


def test_a_value_may_be_removed_meanwhile() -> None:
    """A key that is gone at the second reading is missing."""
    assert EtagCheck().settle(reading(b"damaged"), readings(None), "s3://b/k") is None
