"""What the text of options means."""

import pytest

from zarrmill.cli.options import read_chunks, read_prices, read_shards, read_storage_options
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


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        (None, None),
        ([], None),
        (["region=x", "timeout=5s"], {"region": "x", "timeout": "5s"}),
        (["sas_token=a=b&c=d"], {"sas_token": "a=b&c=d"}),
        (["region=x", "source.region=y"], {"region": "x", "source": {"region": "y"}}),
        (["target.endpoint=http://127.0.0.1:1"], {"target": {"endpoint": "http://127.0.0.1:1"}}),
    ],
    ids=["absent", "empty", "two", "equals signs", "both and one end", "one end"],
)
def test_storage_options(texts, options):
    """They are for both ends, or for the one that stands before the name."""
    assert read_storage_options(texts) == options


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["region"], r"--storage-option 'region' is no option\. Write key=value"),
        (["=x"], "--storage-option '=x' is no option"),
        (["sauce.region=x"], r"--storage-option 'sauce\.region=x' is no option"),
        (["region=x", "region=y"], r"--storage-option region is given twice\. Give it once\."),
        (["source.a=x", "source.a=y"], r"--storage-option source\.a is given twice"),
    ],
    ids=["no value", "no name", "no end", "twice", "twice for an end"],
)
def test_wrong_storage_options(texts, message):
    """What cannot be meant is refused, with what was given."""
    with pytest.raises(InvalidInputError, match=message):
        read_storage_options(texts)


def test_prices():
    """Kinds with their prices."""
    assert read_prices(None) is None
    assert read_prices("get=0.0004,put=5e-3,transfer=0") == {"get": 0.0004, "put": 0.005, "transfer": 0}


@pytest.mark.parametrize("text", ["get", "get=", "get=much", ""])
def test_wrong_prices(text):
    """What is no number is refused, with what was given."""
    with pytest.raises(InvalidInputError, match=r"--price .* is no price. Write kinds with their prices"):
        read_prices(text)
