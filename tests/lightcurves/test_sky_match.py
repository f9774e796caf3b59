"""sky_match.py: one to one, the closest first, like brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves import sky_match
from zarrmill.lightcurves.sky import find_separation
from zarrmill.lightcurves.sky_match import SkyMatcher

ARCSEC = 1 / 3600
CENTRES = {"turn": (0.0, 0.0), "pole": (0.0, 90.0), "south": (123.0, -89.9999), "plain": (150.0, 30.0)}


def match_by_force(matcher, ra, dec):
    """Return the object of each row and how many each could have: all pairs by separation, row and object."""
    every = find_separation(ra[:, None], dec[:, None], matcher.ra, matcher.dec)
    rows, objects = np.nonzero(every <= matcher.max_separation)
    pairs = sorted(zip(every[rows, objects], rows, objects, strict=True))
    found = np.full(len(ra), -1)
    for _, row, one in pairs:
        if found[row] == -1 and one not in found:
            found[row] = one
    return found, np.bincount(rows, minlength=len(ra))


@pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    rows=st.integers(0, 60),
    reach=st.sampled_from([0.3, 1.0, 3.0, 20.0, 3600.0]),
)
def test_a_match_is_what_brute_force_finds(centre, seed, n, rows, reach):
    """In crowds and in the void, at the poles and over the turn of right ascension."""
    rng = np.random.default_rng(seed)

    def scatter(count):
        angle, distance = rng.uniform(0, 2 * np.pi, count), 10 * ARCSEC * np.sqrt(rng.uniform(0, 1, count))
        if abs(centre[1]) > 89:
            return np.degrees(angle), np.sign(centre[1]) * (90 - distance)
        cos = np.cos(np.radians(centre[1]))
        return (centre[0] + distance * np.cos(angle) / cos) % 360, centre[1] + distance * np.sin(angle)

    matcher = SkyMatcher.build(*scatter(n), max_separation=reach * ARCSEC)
    ra, dec = scatter(rows)
    match = matcher.match(ra, dec)
    expected, could = match_by_force(matcher, ra, dec)

    np.testing.assert_array_equal(match.objects, expected)
    np.testing.assert_array_equal(match.duplicate, np.flatnonzero((could > 0) & (expected == -1)))
    np.testing.assert_array_equal(match.unmatched, np.flatnonzero(could == 0))
    np.testing.assert_array_equal(match.ambiguous, np.flatnonzero((could > 1) & (expected != -1)))


def test_every_row_has_one_fate():
    """Matched, unmatched or duplicate; ambiguous rows are among the matched."""
    matcher = SkyMatcher.build([10.0, 10.0003, 50.0], [0.0, 0.0, 0.0], max_separation=2 * ARCSEC)
    match = matcher.match([10.0, 10.00001, 50.0, 50.0001, 80.0], [0.0] * 5)

    assert match.objects.tolist() == [0, 1, 2, -1, -1]
    assert (match.ambiguous.tolist(), match.duplicate.tolist(), match.unmatched.tolist()) == ([0, 1], [3], [4])
    assert match.count() == {"rows": 5, "matched": 3, "unmatched": 1, "duplicate": 1, "ambiguous": 2}
    assert match.separation[:3].tolist() == pytest.approx([0, 0.00029, 0], abs=1e-9)
    assert np.isnan(match.separation[3:]).all()


def test_of_two_rows_at_one_place_the_first_is_taken():
    """So that the same catalogue always gives the same match."""
    match = SkyMatcher.build([10.0], [0.0], max_separation=ARCSEC).match([10.0, 10.0], [0.0, 0.0])

    assert (match.objects.tolist(), match.duplicate.tolist()) == ([0, -1], [1])


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_crowd_is_matched_in_parts(monkeypatch, limit):
    """However few pairs are computed at once, the match is the same."""
    rng = np.random.default_rng(5)
    place = 150 + rng.uniform(0, 20, 40) * ARCSEC, rng.uniform(0, 20, 40) * ARCSEC
    matcher = SkyMatcher.build(*place, max_separation=5 * ARCSEC)
    rows = place[0][::-1] + 0.1 * ARCSEC, place[1][::-1]
    whole = matcher.match(*rows)
    monkeypatch.setattr(sky_match, "MOST_PAIRS", limit)
    monkeypatch.setattr(sky_match, "BLOCK", 11)

    np.testing.assert_array_equal(matcher.match(*rows).objects, whole.objects)


@given(seed=st.integers(0, 2**32 - 1), groups=st.integers(1, 4))
def test_groups_do_not_compete(seed, groups):
    """All epochs at once are what one epoch after the other finds."""
    rng = np.random.default_rng(seed)
    matcher = SkyMatcher.build(*rng.uniform(0, 5 * ARCSEC, (2, 8)), max_separation=2 * ARCSEC)
    ra, dec = rng.uniform(0, 5 * ARCSEC, (2, 20))
    group = rng.integers(0, groups, 20)
    whole = matcher.match(ra, dec, group=group)

    for each in range(groups):
        rows = np.flatnonzero(group == each)
        alone = matcher.match(ra[rows], dec[rows])
        np.testing.assert_array_equal(whole.objects[rows], alone.objects)
        for fate in ("unmatched", "duplicate", "ambiguous"):
            np.testing.assert_array_equal(np.intersect1d(getattr(whole, fate), rows), rows[getattr(alone, fate)])


def test_rows_without_a_position_are_named():
    """In the words of whoever calls."""
    with pytest.raises(InvalidInputError, match=r"night\.fits: 1 of 2 rows have no position: 1"):
        SkyMatcher.build([1.0], [1.0], max_separation=ARCSEC).match([1.0, np.nan], [1.0, 1.0], where="night.fits")


@pytest.mark.parametrize("separation", [0, -1, 5, float("nan")], ids=str)
def test_the_separation_is_a_small_angle(separation):
    """Degrees, of which a match takes a tiny part."""
    with pytest.raises(InvalidInputError, match="arcsecond is 1/3600"):
        SkyMatcher.build([1.0], [1.0], max_separation=separation)
