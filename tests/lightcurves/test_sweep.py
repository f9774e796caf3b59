"""lightcurves/sweep.py: statistics of every object, by any executor, the same as one by one."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from tests.lightcurves.survey import OBJECTS, Survey
from zarrmill.errors import AlreadyExistsError, UnknownNameError

NAMES = ["n", "weighted_mean", "median", "chi2", "von_neumann"]


@pytest.fixture
def full(survey: Survey) -> Survey:
    """A survey with folded and other epochs."""
    survey.add(0, 1, 3, 4)
    survey.storage.relayout()
    survey.add(2)
    return survey


def expected(survey: Survey) -> dict[str, np.ndarray]:
    """Statistics by plain numpy, object by object."""
    found = {name: np.full((OBJECTS, 2), np.nan) for name in NAMES}
    for i in range(OBJECTS):
        for j in range(2):
            x = np.array([survey.epochs[e]["flux"][i, j] for e in range(5)], dtype=float)
            w = np.array([survey.epochs[e]["flux_err"][i, j] for e in range(5)], dtype=float)[np.isfinite(x)] ** -2
            x = x[np.isfinite(x)]
            mean = (w * x).sum() / w.sum()
            found["n"][i, j] = len(x)
            found["weighted_mean"][i, j] = mean
            found["median"][i, j] = np.median(x)
            found["chi2"][i, j] = (w * (x - mean) ** 2).sum()
            found["von_neumann"][i, j] = (np.diff(x) ** 2).sum() / ((x - x.mean()) ** 2).sum()
    return found


def test_statistics_are_those_of_numpy(full: Survey) -> None:
    """Every object and measurement."""
    table = full.storage.statistics(NAMES)

    assert table.keys.tolist() == list(range(OBJECTS))
    for name, values in expected(full).items():
        np.testing.assert_allclose(table[name], values, rtol=1e-10, err_msg=name)
    with pytest.raises(UnknownNameError, match=r"no statistic 'medan'. Did you mean 'median'"):
        table["medan"]


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_any_executor_gives_the_same(make_survey, executor) -> None:
    """Blocks go to any executor; each shard is a block."""
    survey = make_survey()
    survey.add(0, 1, 2)
    messages: list[object] = []
    table = survey.storage.statistics(["mean"], executor=executor, workers=2, progress=messages.append)

    np.testing.assert_array_equal(table["mean"], survey.storage.statistics(["mean"])["mean"])
    assert [type(m).__name__ for m in messages].count("BlockFinished") == 3


def test_output_is_plain_zarr(full: Survey, tmp_path) -> None:
    """Kept statistics open in zarr-python, with keys and measurements beside them."""
    table = full.storage.statistics(NAMES, output=tmp_path / "statistics")
    root = zarr.open_group(tmp_path / "statistics", mode="r")

    for name in NAMES:
        np.testing.assert_array_equal(root[name][:], table[name])
    assert root["measurement"][:].tolist() == ["g", "r"]
    assert root["key"][:].tolist() == list(range(OBJECTS))
    with pytest.raises(AlreadyExistsError):
        full.storage.statistics(NAMES, output=tmp_path / "statistics")


def test_unknown_statistics_are_named(full: Survey) -> None:
    """Before anything is read."""
    with pytest.raises(UnknownNameError, match=r"no statistic 'chi'. Did you mean 'chi2'"):
        full.storage.statistics(["chi"])
