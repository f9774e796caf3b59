"""An additive fingerprint of stored keys and their sizes: tells a lost or cut key from one that was never written.

Each written key adds a 64-bit hash of its name and size to a sum. The sum over a listing is the same, whoever wrote
what, so a completeness check needs no list of millions of keys in the journal.
"""

from __future__ import annotations

import hashlib

_MASK = 2**64 - 1


def key_term(key: str, nbytes: int) -> int:
    """Return the term of one stored key, ``key`` being relative to the store.

    >>> key_term("flux/c/0/0", 100) == key_term("flux/c/0/0", 101)
    False
    """
    return int.from_bytes(hashlib.blake2b(f"{key}\0{nbytes}".encode(), digest_size=8).digest(), "little")


def add_terms(a: int, b: int) -> int:
    """Return the sum of two fingerprints.

    >>> add_terms(2**64 - 1, 2)
    1
    """
    return (a + b) & _MASK
