"""Small stores of light curves, on a disk and in an object store."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.lightcurves.survey import Survey


@pytest.fixture(params=["disk", "object store"])
def place(request, tmp_path) -> str:
    """Where a store may be made: nothing is there yet."""
    return str(tmp_path / "survey") if request.param == "disk" else f"memory://{uuid.uuid4().hex}"


@pytest.fixture(params=["disk", "S3"])
def shared(request, tmp_path) -> dict[str, Any]:
    """Where processes can make and open one store together: path and options of the store."""
    if request.param == "disk":
        return {"path": str(tmp_path / "survey"), "storage_options": None}
    bucket = request.getfixturevalue("s3_bucket")
    return {"path": f"{bucket}/survey", "storage_options": request.getfixturevalue("storage_options")}


@pytest.fixture
def disk(tmp_path) -> str:
    """A path on the local disk where a store may be made."""
    return str(tmp_path / "survey")


@pytest.fixture
def survey(place) -> Survey:
    """A store of 70 objects, 2 measurements and up to 6 epochs in blocks of 3, with the epochs to put there."""
    return Survey.create(place)


@pytest.fixture
def make_survey(disk) -> Callable[..., Survey]:
    """Makes a survey on the disk with what is given."""
    return lambda **options: Survey.create(disk, **options)
