"""Whole values checked against ETags that are their MD5, as those of most S3 services are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from zarrmill.errors import StoreUnavailableError

_MD5 = re.compile(r'"?([0-9a-f]{32})"?', re.ASCII | re.IGNORECASE)
"""An ETag that may be an MD5; those of multipart uploads have a dash, those of Azure and Google look otherwise."""

Reading = tuple[memoryview, str | None]
"""A value as it was read, and its ETag."""


class EtagCheck:
    """Reads a value again when it does not have the MD5 that its ETag promises.

    Under some encryptions (SSE-KMS, SSE-C) an ETag is no MD5 though it looks like one. The second reading tells: when
    it brings the same bytes, nothing was damaged on the way, and from then on this store is not checked any more.
    """

    def __init__(self, *, active: bool = True) -> None:
        self.active = active

    def __reduce__(self) -> tuple[Callable[[bool], EtagCheck], tuple[bool]]:
        return _make, (self.active,)

    def passes(self, reading: Reading) -> bool:
        """Tell whether a value has the checksum of its ETag, or nothing can be said about it."""
        data, etag = reading
        if not self.active or etag is None:
            return True
        found = _MD5.fullmatch(etag)
        return found is None or hashlib.md5(data, usedforsecurity=False).hexdigest() == found[1].lower()

    def settle(self, first: Reading, read: Callable[[], Reading | None], where: str) -> memoryview | None:
        """Return the right value after a first reading that did not pass; ``read`` reads it again.

        Raises StoreUnavailableError when three readings bring three different values.
        """
        seen = [first[0]]
        for _ in range(2):
            reading = read()
            if reading is None:
                return None
            data = reading[0]
            if any(data == other for other in seen):
                self.active = self.active and len(seen) > 1
                return data
            if self.passes(reading):
                return data
            seen.append(data)
        lengths = ", ".join(str(len(data)) for data in seen)
        raise StoreUnavailableError(
            f"{where}: three readings brought three different values ({lengths} bytes), none of them with the MD5 of "
            f"its ETag. Something damages them on the way: see to the network, or use an https endpoint."
        )


def _make(active: bool) -> EtagCheck:
    return EtagCheck(active=active)
