"""lightcurves/record.py: one key that tells what is folded."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import SourceFormatError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.record import BlockRecord, Record, find_runs, load_record, put_record


@given(st.lists(st.booleans(), max_size=60))
def test_runs_say_the_same_as_the_mask(mask) -> None:
    """Runs are sorted, apart, and cover exactly the true values."""
    runs = find_runs(np.array(mask, dtype=bool))

    assert [i for start, stop in runs for i in range(start, stop)] == [i for i, value in enumerate(mask) if value]
    assert all(a[1] < b[0] for a, b in itertools.pairwise(runs))


@given(st.sets(st.integers(0, 29)), st.sets(st.integers(0, 29)))
def test_folding_and_taking_back(first, second) -> None:
    """What is folded is the union of what was, without what was taken back, and goes through JSON unharmed."""
    record = Record(n_objects=5, n_epochs=30)
    for positions in (first, second):
        for number in {p // 10 for p in positions}:
            inside = [p for p in positions if p // 10 == number]
            block = BlockRecord(record.block(number).generation + 1, 5, {"flux": "00"})
            record = record.with_block(number, block, inside)
    assert set(np.flatnonzero(record.mask()).tolist()) == first | second
    for position in first:
        record = record.take_back(position, epoch_block=10)
        assert not record.block(position // 10).shares
    assert set(np.flatnonzero(record.mask()).tolist()) == second - first
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert {c + 10 for c in record.folded_in(1, 10).tolist()} == {p for p in second - first if 10 <= p < 20}


def test_the_axis_grows_by_whole_blocks() -> None:
    """Never shorter, always whole blocks."""
    assert Record().grown(7, epoch_block=5).n_epochs == 10
    assert Record(n_epochs=20).grown(7, epoch_block=5).n_epochs == 20


def test_put_and_load(tmp_path) -> None:
    """What was put is loaded; a lost or damaged record says so."""
    keys, record = LocalKeys(tmp_path), Record(generation=3, n_objects=7, n_epochs=4, folded=((0, 2),))
    put_record(keys, record)
    assert load_record(keys) == record

    for damage in (b"{", b"[]", b'{"attributes": {}}', b'{"attributes": {"zarrmill_record": {"folded": 5}}}'):
        keys.put("by_object/zarr.json", damage)
        with pytest.raises(SourceFormatError, match=r"by_object/zarr\.json"):
            load_record(keys)
    keys.delete(["by_object/zarr.json"])
    with pytest.raises(SourceFormatError, match="is lost"):
        load_record(keys)
