"""execute/account.py: sums over the results of blocks, array by array."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zarrmill.digest import Share
from zarrmill.execute.account import accounts, array_of
from zarrmill.execute.keys import add_terms
from zarrmill.plan.model import BlockResult


def result(block, *, keys, terms, source, target, peak):
    facts = {"terms": f"{terms:016x}", "peak": str(peak)}
    if source is not None:
        facts["source_share"] = Share(source, source).to_json()
    if target is not None:
        facts["target_share"] = Share(target, 1).to_json()
    return BlockResult(block, {"keys_written": keys}, facts)


word = st.integers(0, 2**64 - 1)
results = st.builds(
    result,
    st.tuples(st.sampled_from(["a", "a/b", "/"]), st.integers(0, 3), st.integers(0, 9)).map(lambda t: f"{t[0]}:{t[1]}:0:{t[2]}"),  # noqa: E501
    keys=st.integers(0, 100),
    terms=word,
    source=st.none() | word,
    target=st.none() | word,
    peak=st.integers(0, 2**40),
)  # fmt: skip


@given(st.lists(results, max_size=12))
def test_sums_are_those_of_each_array(found):
    """Counts, shares and fingerprints add up; the peak is the largest; arrays do not mix."""
    made = accounts(found)
    for path in {"a", "a/b", ""}:
        own = [r for r in found if r.block.rsplit(":", 3)[0] == (path or "/")]
        assert bool(own) == (path in made)
        if not own:
            continue
        account = made[path]
        terms = 0
        for r in own:
            terms = add_terms(terms, int(r.facts["terms"], 16))
        assert account.counts["keys_written"] == sum(r.counts["keys_written"] for r in own)
        assert account.terms == terms
        assert account.peak == max(int(r.facts["peak"]) for r in own)
        for name, share in (("source_share", account.source_share), ("target_share", account.target_share)):
            assert share == sum((Share.from_json(r.facts[name]) for r in own if name in r.facts), Share.zero())


def test_results_without_facts_count_nothing():
    """A block of an intermediate has no shares and no keys of the target."""
    account = accounts([BlockResult("a:0:0:0")])["a"]

    assert (account.terms, account.peak, account.source_share) == (0, 0, Share.zero())


def test_paths_with_colons_are_found():
    """Names of arrays may hold colons; the last three parts of an id are numbers."""
    assert array_of("a:b/c:1:0:17") == "a:b/c"
    assert array_of("/:0:0:0") == ""
