"""documents.py: the bytes of metadata, checked against what zarr-python and the standard library write."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.documents import consolidated_document, encode_document, encode_documents
from zarrmill.hierarchy import read_hierarchy
from zarrmill.metadata import group_document
from zarrmill.store import open_store

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(document=st.dictionaries(st.text(), JSON, max_size=5), indent=st.sampled_from([None, 0, 2, 4, "\t"]))
def test_documents_are_those_of_the_standard_library(document, indent) -> None:
    """Whatever is in them, lines in texts and NaN too, and however zarr is told to indent."""
    with zarr.config.set({"json_indent": indent}):
        assert encode_document(document) == json.dumps(document, indent=indent).encode()


def test_a_long_part_is_written_like_a_short_one() -> None:
    """What is too long to be remembered has the same text."""
    document = {"attributes": {"names": [f"name {number}" for number in range(1000)]}}

    assert encode_document(document) == json.dumps(document, indent=2).encode()


def test_only_a_consolidated_root_has_copies() -> None:
    """The others are as they are on their own, and so is the root of a store that is not consolidated."""
    group = {"attributes": {}, "zarr_format": 3, "node_type": "group"}
    documents = {"": group, "a": group, "a/b": {"node_type": "array", "shape": [2]}}
    alone = {path: encode_document(document) for path, document in documents.items()}

    assert encode_documents(documents, consolidated=False) == alone
    assert encode_documents(documents) == alone | {"": encode_document(consolidated_document(documents))}


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """A consolidated hierarchy of zarr-python."""
    group = zarr.create_group(tmp_path / "a", attributes={"n": float("nan"), "title": "é"})
    group.create_array("Time", shape=(3,), dtype="i8", dimension_names=["time"])[:] = [1, 2, 3]
    group.create_array("night/flux", shape=(3,), dtype="f4", fill_value=np.nan, dimension_names=["time"])
    group.create_array("night/deep/mask", shape=(3, 4), chunks=(1, 2), shards=(3, 4), dtype="bool")
    group.create_array("alone", shape=(), dtype="m8[s]")
    group.create_group("empty", attributes={"why": "not"})
    with warnings.catch_warnings():
        # zarr, on every consolidation.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(tmp_path / "a")
    return tmp_path / "a"


def test_documents_are_those_of_zarr_to_the_byte(survey: Path) -> None:
    """Every zarr.json, the consolidated one too, is encoded as zarr-python does it."""
    nodes = read_hierarchy(open_store(survey)).nodes
    documents = {path: n.metadata if n.kind == "array" else group_document(n) for path, n in nodes.items()}

    for path, data in encode_documents(documents).items():
        assert data.decode() == (survey / path / "zarr.json").read_text()


def test_consolidated_documents_are_read(survey: Path, tmp_path: Path) -> None:
    """zarr-python and xarray read a hierarchy through its consolidated metadata alone, without warnings."""
    nodes = read_hierarchy(open_store(survey)).nodes
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "zarr.json").write_bytes(encode_documents({p: node.metadata for p, node in nodes.items()})[""])

    group = zarr.open_consolidated(tmp_path / "b")

    assert sorted(dict(group.members(max_depth=None))) == sorted(path for path in nodes if path)
    assert group["night/deep/mask"].shards == (3, 4)
    xr = pytest.importorskip("xarray")
    assert set(xr.open_zarr(survey).variables) == {"Time", "alone"}
    assert xr.open_zarr(tmp_path / "b").Time.dims == ("time",)


def test_an_array_has_nothing_to_consolidate() -> None:
    """The document of an array comes back as it is."""
    document = {"node_type": "array", "shape": [2, 3]}

    assert consolidated_document({"": document}) is document
    assert encode_documents({"": document}) == {"": encode_document(document)}
