"""A survey with known values, and what a right reader must return of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.lightcurves.light_curve import LightCurve, Status
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.storage import LightcurveStorage

OBJECTS, EPOCHS, BANDS = 70, 6, ("g", "r")
OPTIONS = CreateOptions(epoch_block=3, shard_objects=32)
"""Small blocks and shards, so that a little data makes several of each."""


@dataclass
class Survey:
    """A store and the epochs that belong there."""

    storage: LightcurveStorage
    path: str
    epochs: list[dict[str, NDArray[Any]]]
    added: set[int] = field(default_factory=set)
    storage_options: dict[str, Any] | None = None

    @classmethod
    def create(
        cls,
        path: str,
        *,
        n_objects: int = OBJECTS,
        n_epochs: int = EPOCHS,
        storage_options: dict[str, Any] | None = None,
        **given: Any,
    ) -> Survey:
        """Make a store; nothing is added to it yet."""
        asked: dict[str, Any] = {
            "n_objects": n_objects,
            "max_epochs": n_epochs,
            "measurements": BANDS,
            "chunks": {"object": 16},
            "options": replace(OPTIONS, storage_options=storage_options),
        }
        asked |= given
        if "catalogue" in asked:
            del asked["n_objects"]
        storage = LightcurveStorage.create(path, **asked)
        epochs = [make_epoch(i, n_objects=n_objects) for i in range(n_epochs)]
        return cls(storage, path, epochs, storage_options=storage_options)

    def add(self, *indices: int, **options: Any) -> None:
        """Put epochs into the store."""
        for index in indices:
            self.storage.populate_epoch(index, self.epochs[index], time=time_of(index), **options)
            self.added.add(index)

    def check(self, *objects: int, storage: LightcurveStorage | None = None) -> None:
        """Check that the store gives exactly what was added, of some objects or of those around every edge."""
        storage = storage or self.storage
        for number in objects or find_witnesses(len(self.epochs[0]["flux"])):
            check_curve(storage.get_lightcurve(number), self, number)

    def reopened(self) -> LightcurveStorage:
        """Open the store as somebody else would."""
        return LightcurveStorage.open(self.path, storage_options=self.storage_options)


def find_witnesses(count: int) -> list[int]:
    """Return the first and the last two objects of every chunk, which is of 16, and so of every shard."""
    return sorted(
        {number + side for number in (*range(0, count, 16), count) for side in (-2, -1, 0, 1)} & {*range(count)}
    )


def check_curve(curve: LightCurve, survey: Survey, number: int) -> None:
    """Check one light curve of an index-addressed survey, value by value."""
    added = sorted(survey.added)
    assert curve.epoch.tolist() == added
    assert curve.time.tolist() == [time_of(i) for i in added]
    for name in ("flux", "flux_err"):
        expected = np.array([survey.epochs[i][name][number] for i in added], dtype=np.float32).reshape(len(added), -1)
        np.testing.assert_array_equal(curve[name], expected)
    seen = [np.isfinite(survey.epochs[i]["flux"][number]) for i in added]
    expected_status = np.where(seen, Status.DETECTED, Status.NOT_OBSERVED).reshape(len(added), -1)
    np.testing.assert_array_equal(curve.status, expected_status)


def make_epoch(seed: int, *, n_objects: int = OBJECTS, measurements: int = len(BANDS)) -> dict[str, NDArray[Any]]:
    """Return an epoch in which every fifth object was not observed."""
    random = np.random.default_rng(seed)
    flux = random.normal(1000, 30, size=(n_objects, measurements)).astype(np.float32)
    flux[seed % 5 :: 5] = np.nan
    return {"flux": flux, "flux_err": np.where(np.isnan(flux), np.nan, 5 + seed).astype(np.float32)}


def time_of(index: int) -> float:
    """Return the modified Julian date of an epoch."""
    return 60_000.0 + index
