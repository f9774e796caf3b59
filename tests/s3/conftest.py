"""Fixtures of the tests on S3: blocks of little data, and places with storage options."""

from tests.s3.stores import many_blocks

__all__ = ["many_blocks"]
