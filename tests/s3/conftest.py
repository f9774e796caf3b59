"""Fixtures of the tests on S3: blocks of little data, places with storage options, and a dask cluster."""

from tests.execute.conftest import client
from tests.s3.stores import many_blocks

__all__ = ["client", "many_blocks"]
