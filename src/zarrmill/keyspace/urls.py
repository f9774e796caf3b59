"""What a URL says: which service, which bucket, and where in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from zarrmill.errors import InvalidInputError

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
SERVICES = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "azure": "az",
    "adl": "az",
    "abfs": "az",
    "abfss": "az",
    "http": "http",
    "https": "http",
    "memory": "memory",
}
"""Service by scheme."""


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A URL of a store."""

    service: str
    """"s3", "gs", "az", "http" or "memory"."""
    root: str
    """URL of the bucket, of the web server, or of the store in memory."""
    bucket: str
    """Name of the bucket or container; of a web server "", of a store in memory its name."""
    path: str
    """Folder below the root, "" for the root itself."""
    account: str = ""
    """Account of Azure where the URL names it."""


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL, None for a path.

    >>> scheme_of("S3://bucket/a"), scheme_of("/data/a"), scheme_of("zip::s3://bucket/a")
    ('s3', None, None)
    """
    found = _SCHEME.match(text)
    return found[1].lower() if found else None


def parse_url(text: str) -> StoreUrl:
    """Return what a URL says; raises InvalidInputError for one that names no store.

    >>> parse_url("s3://bucket/deep/down/")
    StoreUrl(service='s3', root='s3://bucket', bucket='bucket', path='deep/down', account='')
    """
    scheme = scheme_of(text)
    service = SERVICES.get(scheme or "")
    if scheme is None or service is None:
        raise InvalidInputError(
            f"{text}: unknown kind of URL. Known are file://, s3://, gs://, az:// (abfs://), https://, http:// and "
            f"memory://."
        )
    if service == "http":
        return _web(text)
    host, _, path = text[len(scheme) + 3 :].partition("/")
    if not host:
        raise InvalidInputError(f"{text} names no bucket. Write {scheme}://bucket/path.")
    bucket, _, domain = host.partition("@") if service == "az" else (host, "", "")
    account = domain.partition(".")[0]
    return StoreUrl(service, f"{scheme}://{host}", bucket, _checked(path, text), account)


def _web(text: str) -> StoreUrl:
    parts = urlsplit(text)
    if parts.query or parts.fragment:
        raise InvalidInputError(
            f"{text}: a query cannot be sent along with every key. Leave out what follows the path."
        )
    if not parts.hostname or "@" in parts.netloc:
        raise InvalidInputError(f"{text} names no web server. Write https://host/path.")
    return StoreUrl("http", f"{parts.scheme}://{parts.netloc}", "", _checked(unquote(parts.path), text))


def _checked(path: str, text: str) -> str:
    path = path.strip("/")
    if any(part in ("", ".", "..") for part in path.split("/")) and path:
        raise InvalidInputError(
            f'{text}: empty names, "." and ".." have no meaning in a store. Write the path without.'
        )
    return path
