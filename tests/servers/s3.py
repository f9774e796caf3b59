"""The S3 server of the tests: moto in a process of its own, or the endpoint that the environment names.

`ZARRMILL_TEST_S3_ENDPOINT` names another server; its credentials come from the usual AWS variables.
"""

from __future__ import annotations

import http.client
import os
import uuid
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from tests.servers.process import ServerProcess

ENDPOINT_VARIABLE = "ZARRMILL_TEST_S3_ENDPOINT"
MOTO = {"MOTO_DISABLE_GLOBAL_CORS": "true", "MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": str(1 << 30)}
"""No headers for browsers, and values stay in memory: above 16 MB moto would put them into temporary files."""


class S3Server:
    """An S3 server with path-style addressing, in which each test makes its own bucket."""

    def __init__(self, endpoint: str | None = None) -> None:
        """Use the endpoint given, or else the one in the environment, or else start moto."""
        given = endpoint or os.environ.get(ENDPOINT_VARIABLE)
        self.process = None if given else ServerProcess("tests.servers.moto_process", **MOTO)
        self.endpoint = self.process.endpoint if self.process else str(given).rstrip("/")
        self.is_moto = self.process is not None

    @property
    def storage_options(self) -> dict[str, Any]:
        """What `obstore.store.from_url(url, **storage_options)` needs to reach this server."""
        return make_storage_options(self.endpoint, os.environ if not self.is_moto else {})

    def create_bucket(self, name: str | None = None) -> str:
        """Make an empty bucket and return its name."""
        name = name or f"zarrmill-{uuid.uuid4().hex[:16]}"
        if self.is_moto:
            self._request("PUT", f"/{name}", expected=200)
        else:
            self._make_client().create_bucket(Bucket=name)
        return name

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket with all its keys."""
        self.empty_bucket(name)
        if self.is_moto:
            self._request("DELETE", f"/{name}", expected=204)
        else:
            self._make_client().delete_bucket(Bucket=name)

    def empty_bucket(self, name: str) -> None:
        """Delete all keys of a bucket."""
        from obstore.store import from_url

        store: Any = from_url(f"s3://{name}", **self.storage_options)
        for page in store.list():
            store.delete([entry["path"] for entry in page])

    def reset(self) -> None:
        """Forget everything that moto holds, in every bucket; another server is left alone."""
        if self.is_moto:
            self._request("POST", "/moto-api/reset", expected=200)

    def stop(self) -> None:
        """End moto; on return its process is gone."""
        if self.process is not None:
            self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _request(self, method: str, path: str, *, expected: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=30)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            if answer.status != expected:
                raise RuntimeError(f"{method} {path}: {answer.status} {answer.read()[:500]!r}")
        finally:
            connection.close()

    def _make_client(self) -> Any:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        options = self.storage_options
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=options["region"],
            aws_access_key_id=options["access_key_id"],
            aws_secret_access_key=options["secret_access_key"],
            config=Config(s3={"addressing_style": "path"}),
        )


def make_storage_options(endpoint: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of obstore for a server: credentials and region as the environment says, or made up.

    `allow_http` is an option of the client: obstore 0.12 panics on it beside the others.
    """
    options: dict[str, Any] = {
        "endpoint": endpoint,
        "region": environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
        "access_key_id": environment.get("AWS_ACCESS_KEY_ID", "test-key"),
        "secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY", "test-secret"),
        "virtual_hosted_style_request": False,
        "client_options": {"allow_http": True},
    }
    if token := environment.get("AWS_SESSION_TOKEN"):
        options["session_token"] = token
    return options
