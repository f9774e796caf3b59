"""keyspace/urls.py: what a URL says."""

from __future__ import annotations

import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.urls import StoreUrl, parse_url, scheme_of

GOOD = {
    "s3://bucket": StoreUrl("s3", "s3://bucket", "bucket", ""),
    "s3://bucket/": StoreUrl("s3", "s3://bucket", "bucket", ""),
    "S3a://my.bucket/a/b c#d?e/": StoreUrl("s3", "s3a://my.bucket", "my.bucket", "a/b c#d?e"),
    "gs://bucket/a%20b": StoreUrl("gs", "gs://bucket", "bucket", "a%20b"),
    "gcs://bucket/a": StoreUrl("gs", "gcs://bucket", "bucket", "a"),
    "az://box/a": StoreUrl("az", "az://box", "box", "a"),
    "abfss://box@lake.dfs.core.windows.net/a": StoreUrl(
        "az", "abfss://box@lake.dfs.core.windows.net", "box", "a", "lake"
    ),
    "https://host:8443/a%20b/c": StoreUrl("http", "https://host:8443", "", "a b/c"),
    "http://host": StoreUrl("http", "http://host", "", ""),
    "memory://name/a": StoreUrl("memory", "memory://name", "name", "a"),
}


@pytest.mark.parametrize(("text", "expected"), GOOD.items(), ids=GOOD)
def test_urls_are_taken_apart(text: str, expected: StoreUrl) -> None:
    """Service, bucket and path; only web servers percent-encode, and only Azure names an account."""
    assert parse_url(text) == expected


BAD = {
    "s3://": "names no bucket. Write s3://bucket/path.",
    "s3:///a": "names no bucket",
    "https://": "names no web server",
    "https://user:secret@host/a": "names no web server",
    "https://host/a?token=1": "a query cannot be sent along",
    "https://host/a#b": "a query cannot be sent along",
    "s3://bucket/a//b": "empty names",
    "s3://bucket/a/../b": '"." and ".." have no meaning',
    "ftp://host/a": "unknown kind of URL. Known are file://, s3://",
}


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=BAD)
def test_what_names_no_store_is_refused(text: str, message: str) -> None:
    """A URL that can mean no store is refused, with what would do."""
    with pytest.raises(InvalidInputError) as caught:
        parse_url(text)

    assert message in str(caught.value)
    assert text in str(caught.value)


def test_paths_have_no_scheme() -> None:
    """What has no scheme is a path, a Windows drive included."""
    assert [scheme_of(text) for text in ("a/b", "/a", "c:/a", "a:b", "://a", "1s://a")] == [None] * 6
