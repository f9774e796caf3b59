"""What the text of options means."""

import pytest

from zarrmill.cli.options import read_chunks, read_shards
from zarrmill.errors import InvalidInputError


@pytest.mark.parametrize(
    ("texts", "request_made"),
    [
        (None, None),
        ([], None),
        (["object=1,epoch=-1"], {"object": 1, "epoch": -1}),
        (["1,-1,2"], (1, -1, 2)),
        (["flux:1,-1"], {"flux": (1, -1)}),
        (["flux:object=1", "/meta/quality:100"], {"flux": {"object": 1}, "meta/quality": (100,)}),
        ([":1,-1"], {"": (1, -1)}),
    ],
    ids=["absent", "empty", "by dimension", "by axis", "one path", "two paths", "root array"],
)
def test_chunks(texts, request_made):
    """Sizes go to all arrays, or to those whose path stands before them."""
    assert read_chunks(texts) == request_made


@pytest.mark.parametrize(
    ("texts", "request_made"),
    [
        (None, "auto"),
        (["auto"], "auto"),
        (["none"], None),
        (["object=1000"], {"object": 1000}),
        (["flux:1000,-1"], {"flux": (1000, -1)}),
    ],
    ids=["absent", "auto", "none", "by dimension", "by path"],
)
def test_shards(texts, request_made):
    """Shards are chosen by rule unless something else is said."""
    assert read_shards(texts) == request_made


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["object"], "'object' is not a list of sizes"),
        (["object=1,2"], "is not a list of sizes"),
        (["flux:"], "is not a list of sizes"),
        (["object=1", "epoch=1"], "--chunks is given twice for all arrays"),
        (["flux:1", "/flux:2"], "--chunks is given twice for 'flux'"),
        (["object=1", "flux:2"], "for all arrays and for 'flux'"),
    ],
    ids=["no number", "mixed", "path alone", "twice", "twice by path", "all and one"],
)
def test_wrong_chunks(texts, message):
    """What cannot be meant is refused, with what was given."""
    with pytest.raises(InvalidInputError, match=message):
        read_chunks(texts)
