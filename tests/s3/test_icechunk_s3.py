"""Icechunk repositories on S3: a target by its URL, with options or the environment saying where and who."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

import zarrmill
from zarrmill.errors import AlreadyExistsError, NotFoundError

pytestmark = pytest.mark.slow

VALUES = np.random.default_rng(2).normal(size=(200, 60))
VARIABLES = {
    "endpoint": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    zarr.create_array(tmp_path / "s", data=VALUES, chunks=(200, 6))
    return tmp_path / "s"


def test_options_say_where(source, s3_bucket, storage_options):
    """Written and read with the storage options that URLs have; what is there is not replaced unasked."""
    target, options = f"icechunk://{s3_bucket}/surveys/first", {"storage_options": storage_options}
    report = zarrmill.rechunk(source, target, chunks=(10, 60), shards=(50, 60), **options)

    assert zarrmill.digest(target, **options) == report.digest == zarrmill.digest(source)
    assert report.keys_written == 4
    with pytest.raises(AlreadyExistsError, match="there is a node at"):
        zarrmill.rechunk(source, target, chunks=(10, 60), **options)
    with pytest.raises(NotFoundError, match="the repository doesn't exist"):
        zarrmill.digest(f"icechunk://{s3_bucket}/surveys/second", **options)


def test_environment_says_where(source, tmp_path, s3_bucket, storage_options, monkeypatch):
    """The variables of AWS's tools are enough, for a target and for a source."""
    for option, variable in VARIABLES.items():
        monkeypatch.setenv(variable, storage_options[option])
    target = f"icechunk://{s3_bucket}/survey?path=by_object"
    zarrmill.rechunk(source, target, chunks=(10, 60))
    report = zarrmill.rechunk(target, tmp_path / "back", chunks=(200, 6), executor="processes", workers=2)

    np.testing.assert_array_equal(zarr.open_array(tmp_path / "back", mode="r")[:], VALUES)
    assert report.source.startswith(f"icechunk://{s3_bucket}/survey?snapshot=")
