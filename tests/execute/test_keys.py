"""execute/keys.py: the additive fingerprint of stored keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zarrmill.execute.keys import add_terms, key_term

TERM = st.integers(0, 2**64 - 1)


@given(st.lists(TERM), st.randoms(use_true_random=False))
def test_order_does_not_matter(terms, random):
    """Keys may be written and listed in any order."""
    shuffled = random.sample(terms, len(terms))
    sums = []
    for some in (terms, shuffled):
        total = 0
        for term in some:
            total = add_terms(total, term)
        sums.append(total)

    assert sums[0] == sums[1] == sum(terms) % 2**64


def test_terms_tell_keys_and_sizes_apart():
    """A lost, renamed or cut key changes the sum; names and sizes do not run into each other."""
    terms = [key_term(key, n) for key in ("c/0/1", "c/0/11", "c/0", "", "ä") for n in (0, 1, 11, 10**12)]

    assert len(set(terms)) == len(terms)
    assert all(0 <= term < 2**64 for term in terms)


def test_terms_are_the_same_in_every_process():
    """A resumed run compares with what an earlier one journaled."""
    assert key_term("flux/c/0/0", 100) == 0x4F4A4BF3007D9336
