"""A writer that is killed at any moment: an epoch is there wholly or not at all, and nothing told of is lost."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.lightcurves.processes import finish, start
from tests.lightcurves.survey import OPTIONS, Survey, time_of
from zarrmill.lightcurves.storage import LightcurveStorage

EPOCHS = 8
SECONDS = 1.0
"""About as long as a worker takes to do everything."""


def check_whole(survey: Survey, told: set[int]) -> None:
    """Check that every epoch told of is there, and that each that is there is there with all of its values."""
    storage = survey.reopened()
    curves = storage.get_lightcurves(np.arange(storage.info().objects))
    there = curves.epoch.tolist()
    assert told <= set(there)
    for row, index in enumerate(there):
        np.testing.assert_array_equal(curves["flux"][:, row], survey.epochs[index]["flux"])
        np.testing.assert_array_equal(curves["flux_err"][:, row], survey.epochs[index]["flux_err"])
        assert curves.time[row] == time_of(index)
    assert storage.verify().sound


def kill_and_complete(survey: Survey, seed: int) -> None:
    """Kill a worker after a while, look, and have others complete what it began."""
    epochs = range(len(survey.epochs))
    process = start(survey, "everything", epochs=epochs)
    time.sleep(random.Random(seed).uniform(0, SECONDS))
    process.kill()
    told = {int(words[1]) for words in finish(process) if words[0] == "added"}
    check_whole(survey, told)
    lines = finish(start(survey, "everything", epochs=epochs))
    assert lines[-1] == ["done"]
    check_whole(survey, set(epochs))


@pytest.mark.parametrize("seed", range(5))
def test_killed_writer(shared, seed) -> None:
    """A kill while epochs are added, folded and pruned leaves a right store, and the same calls complete it."""
    kill_and_complete(Survey.create(**shared, n_epochs=EPOCHS), seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 150))
def test_killed_writer_many_times(shared, seed) -> None:
    """Fifty kills, each at another moment, of a larger survey in larger chunks and shards."""
    options = replace(OPTIONS, shard_objects=512, storage_options=shared["storage_options"])
    larger = {"n_objects": 3000, "n_epochs": 12, "chunks": {"object": 128}, "options": options}
    kill_and_complete(Survey.create(**shared, **larger), seed)


def test_killed_creation(disk) -> None:
    """What a killed creation leaves is no store, and the next creation clears it away."""
    survey = Survey.create(disk)
    (survey.storage._view.keys.path / "zarr.json").unlink()
    stray = survey.storage._view.keys.path / "by_object" / "flux" / "c.9.0.9"
    stray.write_bytes(b"left")
    with pytest.raises(FileNotFoundError):
        LightcurveStorage.open(disk)
    again = Survey.create(disk, n_objects=10)
    again.add(0)
    again.check()
    assert not stray.exists()
