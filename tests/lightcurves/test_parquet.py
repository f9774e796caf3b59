"""parquet.py: what other programs find in the file."""

from __future__ import annotations

import io
import uuid

import numpy as np
import pytest

from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.lightcurves import parquet
from zarrmill.lightcurves.light_curve import Status
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.parquet import ParquetOptions, write_parquet
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.tables import read_table
from zarrmill.store import open_keys

pq = pytest.importorskip("pyarrow.parquet")
pd = pytest.importorskip("pandas")


def make(first=0, n=3, **changes) -> LightCurves:
    """Return objects at three epochs out of order in two bands: the third object was never observed."""
    status = np.full((n, 3, 2), Status.DETECTED, np.uint8)
    status[:1, 1, 1] = Status.NOT_DETECTED
    status[2:3] = Status.NOT_OBSERVED
    flux = np.arange(n * 6.0, dtype="f4").reshape(n, 3, 2) + 100 * first
    flux[status != Status.DETECTED] = np.nan
    fields = {
        "keys": np.arange(first, first + n),
        "time": np.array([60003.0, 60001.0, 60002.0]),
        "measurements": (Measurement("g", unit="nJy"), Measurement("r", unit="nJy")),
        "arrays": {"flux": flux, "flux_err": flux / 10, "flag": np.zeros((n, 3, 2), "u2")},
        "status": status,
        "columns": {"ra": np.linspace(10, 20, n), "dec": np.zeros(n)},
    }
    return LightCurves(**(fields | changes))


def test_pandas_and_pyarrow_open_it(tmp_path):
    """One row per object, points in order of time and measurement, absent points left out."""
    report = write_parquet(tmp_path / "lc.parquet", [make(), make(first=3)])
    frame = pd.read_parquet(tmp_path / "lc.parquet")
    first = frame["lightcurve"].iloc[0]

    assert (report.objects, report.points, report.nbytes) == (6, 24, (tmp_path / "lc.parquet").stat().st_size)
    assert frame["object_id"].tolist() == list(range(6))
    assert list(first["time"]) == [60001.0, 60001.0, 60002.0, 60002.0, 60003.0, 60003.0]
    assert list(first["measurement"]) == ["g", "r"] * 3
    np.testing.assert_array_equal(first["flux"], np.array([2, np.nan, 4, 5, 0, 1], "f4"))
    assert list(first["status"])[:2] == [Status.DETECTED, Status.NOT_DETECTED]
    assert len(frame["lightcurve"].iloc[2]["time"]) == 0
    schema = pq.read_schema(tmp_path / "lc.parquet")
    assert str(schema.field("lightcurve").type.field("flux").type.value_type) == "float"
    assert str(schema.field("lightcurve").type.field("flag").type.value_type) == "uint16"


def test_nested_pandas_opens_it(tmp_path):
    """As a nested column, also a part of it."""
    nested_pandas = pytest.importorskip("nested_pandas")
    write_parquet(tmp_path / "lc.parquet", [make()])
    frame = nested_pandas.read_parquet(tmp_path / "lc.parquet")
    part = nested_pandas.read_parquet(tmp_path / "lc.parquet", columns=["object_id", "lightcurve.flux"])

    assert frame.nested_columns == ["lightcurve"]
    np.testing.assert_array_equal(frame["lightcurve.flux"], [2, np.nan, 4, 5, 0, 1, 8, 9, 10, 11, 6, 7])
    assert frame["lightcurve"].iloc[1]["band"].tolist() == ["g", "r"] * 3
    assert part["lightcurve.flux"].tolist()[6:] == [8, 9, 10, 11, 6, 7]


def test_what_is_written_can_be_read_back(tmp_path):
    """As a table of rows, with units."""
    write_parquet(tmp_path / "lc.parquet", [make()], options=ParquetOptions(detected_only=True))
    table = read_table(tmp_path / "lc.parquet")

    assert len(table) == 11
    assert table["lightcurve.flux"].values.tolist() == [2, 4, 5, 0, 1, 8, 9, 10, 11, 6, 7]
    assert table["lightcurve.flux"].unit == "nJy"
    assert table["object_id"].values.tolist() == [0] * 5 + [1] * 6


def test_keys_of_text_and_offsets(tmp_path):
    """Times of an object are those at the object."""
    offset = np.zeros((3, 3))
    offset[0] = 43200.0
    write_parquet(tmp_path / "lc.parquet", [make(keys=np.array(["a", "b", "c"]), offset=offset)])
    table = read_table(tmp_path / "lc.parquet")

    assert table["object_id"].values[[0, -1]].tolist() == ["a", "b"]
    assert table["lightcurve.time"].values[0] == 60001.5


@pytest.mark.parametrize("most", [1, 5, 6, 7, 100])
def test_large_batches_are_cut(tmp_path, monkeypatch, most):
    """Memory holds a row group; the file is the same."""
    write_parquet(tmp_path / "whole.parquet", [make(n=5)])
    monkeypatch.setattr(parquet, "MOST_POINTS", most)
    write_parquet(tmp_path / "cut.parquet", [make(n=5)])

    # Text, because NaN equals nothing.
    cut, whole = (str(pq.read_table(tmp_path / f"{name}.parquet").to_pylist()) for name in ("cut", "whole"))
    assert cut == whole
    groups = pq.ParquetFile(tmp_path / "cut.parquet").metadata.num_row_groups
    assert groups == {1: 5, 5: 5, 6: 4, 7: 4, 100: 1}[most]


def test_a_failure_leaves_nothing_behind(tmp_path):
    """A file with this name is whole."""

    def broken():
        yield make()
        raise RuntimeError("the store is gone")

    with pytest.raises(RuntimeError, match="the store is gone"):
        write_parquet(tmp_path / "lc.parquet", broken())
    assert list(tmp_path.iterdir()) == []


def test_bad_input_changes_nothing(tmp_path):
    """A file that is there, no light curves, batches of two kinds."""
    path = tmp_path / "lc.parquet"
    write_parquet(path, [make()])
    before = path.read_bytes()
    with pytest.raises(AlreadyExistsError, match="say overwrite"):
        write_parquet(path, [make()])
    with pytest.raises(InvalidInputError, match="different columns or types"):
        write_parquet(path, [make(), make(keys=np.array(["a", "b", "c"]))], options=ParquetOptions(overwrite=True))
    with pytest.raises(InvalidInputError, match="no light curves"):
        write_parquet(path, [], options=ParquetOptions(overwrite=True))

    assert path.read_bytes() == before
    assert write_parquet(path, [make(n=1)], options=ParquetOptions(overwrite=True)).objects == 1


def test_a_store_without_objects_is_an_empty_file(tmp_path):
    """With all columns."""
    assert write_parquet(tmp_path / "lc.parquet", [make(n=0)]).objects == 0
    assert pd.read_parquet(tmp_path / "lc.parquet").columns.tolist() == ["object_id", "ra", "dec", "lightcurve"]


def test_memory_holds_one_batch(tmp_path):
    """Twenty batches take no more than two."""
    arrow = pytest.importorskip("pyarrow")

    def peak(batches):
        pool = arrow.proxy_memory_pool(arrow.default_memory_pool())
        before = arrow.default_memory_pool()
        arrow.set_memory_pool(pool)
        try:
            write_parquet(
                tmp_path / "lc.parquet", (make(n=3000) for _ in range(batches)), options=ParquetOptions(overwrite=True)
            )
        finally:
            arrow.set_memory_pool(before)
        return pool.max_memory()

    assert peak(20) < 1.5 * peak(2)


def test_a_file_in_an_object_store(tmp_path):
    """At a URL it is what it is on a disk; one that is there stays unless told otherwise."""
    url = f"memory://{uuid.uuid4().hex}/release/lc.parquet"
    report = write_parquet(url, [make()])
    write_parquet(tmp_path / "lc.parquet", [make()])
    stored = bytes(open_keys(url.rpartition("/")[0]).get("lc.parquet"))

    assert (report.path, report.nbytes) == (url, len(stored))
    assert stored == (tmp_path / "lc.parquet").read_bytes()
    with pytest.raises(AlreadyExistsError, match="say overwrite"):
        write_parquet(url, [make()])
    assert write_parquet(url, [make(n=1)], options=ParquetOptions(overwrite=True)).objects == 1


def test_a_large_file_is_sent_in_parts(s3_bucket, storage_options, monkeypatch):
    """Many parts make one value, which nobody sees before it is whole."""
    monkeypatch.setattr("zarrmill.keyspace.wire.PART_BYTES", 5 * 2**20)
    random = np.random.default_rng(4)
    epochs = 400_000
    large = LightCurves(
        keys=np.arange(2),
        time=np.arange(epochs) / 7,
        measurements=(Measurement("g"),),
        arrays={"flux": random.normal(size=(2, epochs, 1)), "flux_err": random.normal(size=(2, epochs, 1))},
        status=np.full((2, epochs, 1), Status.DETECTED, dtype=np.uint8),
    )
    report = write_parquet(f"{s3_bucket}/lc.parquet", [large], options=ParquetOptions(storage_options=storage_options))
    stored = bytes(open_keys(s3_bucket, storage_options=storage_options).get("lc.parquet"))

    assert report.nbytes == len(stored) > 2 * 5 * 2**20
    assert pq.read_table(io.BytesIO(stored)).num_rows == 2


def test_a_column_of_the_same_name_is_refused(tmp_path):
    """Neither the keys nor the points hide a column of the objects."""
    with pytest.raises(InvalidInputError, match="'lightcurve'"):
        write_parquet(tmp_path / "lc.parquet", [make(columns={"lightcurve": np.arange(3)})])
