"""keyspace/clients.py: from a URL and options to a connection."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.store import AzureStore, HTTPStore, LocalStore, MemoryStore, S3Store

from tests.keyspace.conftest import open_url
from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.clients import open_link, wrap_client
from zarrmill.keyspace.link import Link
from zarrmill.keyspace.urls import parse_url

KEYS = {"access_key_id": "x", "secret_access_key": "y"}


def open_text(text: str, **options: Any) -> Link:
    return open_link(parse_url(text), options)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_one_bucket_is_one_connection() -> None:
    """Two folders of a bucket share a connection, other options make another."""
    first = open_text("s3://bucket/a", **KEYS)

    assert open_text("s3://bucket/b/c", **KEYS) is first
    assert open_text("s3://bucket", **KEYS, region="x") is not first
    assert open_text("s3://other", **KEYS) is not first


def test_renewed_credentials_make_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whose token has expired sets a new one and goes on in the same process."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    first = open_text("s3://bucket")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "new")

    assert open_text("s3://bucket") is not first


def test_patience_is_bounded() -> None:
    """Whole requests may take minutes; a silent read is given up before, a write only then."""
    link = open_text("s3://bucket", **KEYS)

    assert link.client.client_options.keys() == {"timeout", "connect_timeout", "read_timeout"}
    assert link.writer.client_options.keys() == {"timeout", "connect_timeout"}
    assert link.client.retry_config["max_retries"] == 10
    assert link.client.retry_config["retry_timeout"] == timedelta(seconds=180)
    assert link.writer.retry_config["retry_timeout"] == timedelta(seconds=600)


def test_options_change_the_patience() -> None:
    """Each bound is an option."""
    options = {"timeout": "5s", "read_timeout": "1s", "max_retries": "1", "retry_timeout": "7s", "init_backoff": "1ms"}
    link = open_text("s3://bucket", **KEYS, **options)

    for client in (link.client, link.writer):
        assert client.client_options["timeout"] in ("5s", timedelta(seconds=5), "5 seconds")
        assert client.retry_config["max_retries"] == 1
        assert client.retry_config["retry_timeout"] == timedelta(seconds=7)
        assert client.retry_config["backoff"]["init_backoff"] == timedelta(milliseconds=1)
    assert "read_timeout" not in link.writer.client_options


def test_azure_takes_the_account_from_the_url() -> None:
    """A URL with an account in it needs no option for that; the end of a value is found by its length."""
    link = open_text("abfss://box@lake.dfs.core.windows.net/a", account_key="QUFBQQ==")

    assert (link.client.config["account_name"], link.client.config["container_name"]) == ("lake", "box")
    assert not link.has_suffix_reads


def test_google_may_have_an_endpoint_of_http() -> None:
    """An emulator of Google's store is reached like a custom endpoint of S3."""
    link = open_text("gs://bucket/a", base_url="http://127.0.0.1:4443", skip_signature=True)

    assert link.endpoint == "http://127.0.0.1:4443"
    assert link.client.client_options["allow_http"] == "true"


def test_web_servers_are_for_reading() -> None:
    """A web server has no keys to list and takes none."""
    link = open_text("http://host/a")

    assert (link.writer, link.can_list, link.endpoint) == (None, False, "http://host")
    with pytest.raises(InvalidInputError, match=r"http://host can only be read\. Give another target\."):
        open_url("http://host/a", {}).put("k", b"")
    with pytest.raises(InvalidInputError, match=r"http://host: a web server lists no keys\."):
        list(open_url("http://host/a", {}).list())


BAD = {
    "account": (
        "az://box/a",
        {"account_key": "x"},
        "az://box: Generic MicrosoftAzure error: Account must be specified",
    ),
    "half a key": ("s3://bucket", {"access_key_id": "x"}, "s3://bucket: Generic S3 error: Missing SecretAccessKey"),
    "endpoint": ("s3://bucket", {**KEYS, "endpoint": "host:1"}, "endpoint host:1 has no scheme"),
    "option": ("http://host", {"region": "x"}, "storage option region is not one of http:// locations"),
}


@pytest.mark.parametrize(("url", "options", "message"), BAD.values(), ids=BAD)
def test_what_cannot_work_is_refused(url: str, options: dict[str, str], message: str) -> None:
    """A client that cannot be made is told of in one line, before any request."""
    with pytest.raises(InvalidInputError) as caught:
        open_text(url, **options)

    assert str(caught.value).startswith(message)


def test_keys_that_must_be_fetched_need_boto3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single sign-on is boto3's work; without it, two ways are named."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[profile company]\nsso_session = x\nregion = eu-west-1\n")
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(InvalidInputError, match=r"AWS profile company must be fetched.*pip install boto3.*export-cred"):
        open_text("s3://bucket", profile="company")


def test_boto3_fetches_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With boto3, a process that prints keys is asked for them."""
    pytest.importorskip("boto3")
    (tmp_path / ".aws").mkdir()
    keys = '{"Version": 1, "AccessKeyId": "printed", "SecretAccessKey": "secret"}'
    (tmp_path / "keys.json").write_text(keys)
    (tmp_path / ".aws" / "config").write_text(f"[profile tool]\ncredential_process = cat {tmp_path}/keys.json\n")

    provider = open_text("s3://bucket", profile="tool").client.credential_provider
    assert provider()["access_key_id"] == "printed"
    (tmp_path / ".aws" / "config").write_text("[profile tool]\nsso_session = missing\n")
    with pytest.raises(InvalidInputError, match="s3://bucket: AWS profile tool: "):
        open_text("s3://bucket", profile="tool")


def test_clients_of_others_are_wrapped(tmp_path: Path) -> None:
    """A client that somebody made keeps its bucket and folder; one of a folder is that folder."""
    s3 = S3Store("bucket", prefix="a/b", **KEYS)  # type: ignore[arg-type]
    azure = AzureStore("box", account_name="x", account_key="QUFBQQ==")

    link = wrap_client(s3, read_only=False)
    assert isinstance(link, Link)
    assert (link.location, link.writer, link.keys_per_delete) == ("s3://bucket/a/b", s3, 1000)
    assert wrap_client(s3, read_only=True).writer is None  # type: ignore[union-attr]
    assert wrap_client(azure, read_only=False).location == "az://box"  # type: ignore[union-attr]
    web = wrap_client(HTTPStore("https://host/a"), read_only=False)
    assert (web.location, web.writer, web.can_list) == ("https://host/a", None, False)  # type: ignore[union-attr]
    assert wrap_client(LocalStore(tmp_path), read_only=False) == tmp_path
    assert wrap_client(MemoryStore(), read_only=False).keeps_buffers  # type: ignore[union-attr]


def test_clients_of_others_pickle() -> None:
    """A link over a client of somebody else's takes the client along."""
    link = wrap_client(S3Store("bucket", **KEYS), read_only=False)  # type: ignore[arg-type]
    back = pickle.loads(pickle.dumps(link))

    assert back == link
    assert back.client == link.client  # type: ignore[union-attr]


COUNT_THREADS = """
import os
from zarrmill.keyspace.clients import open_link
from zarrmill.keyspace.urls import parse_url
before = len(os.listdir("/proc/self/task"))
open_link(parse_url("memory://a")).client.list().collect()
print(len(os.listdir("/proc/self/task")) - before, os.environ.get("TOKIO_WORKER_THREADS"))
"""


@pytest.mark.parametrize("given", [None, "3"], ids=["by itself", "as the environment says"])
def test_few_threads_do_the_input_and_output(given: str | None) -> None:
    """Up to seven cores one thread is enough, unless the environment says how many, which stays as it was."""
    environment = {name: value for name, value in os.environ.items() if name != "TOKIO_WORKER_THREADS"}
    if given is not None:
        environment["TOKIO_WORKER_THREADS"] = given
    expected = given or str(max(1, len(os.sched_getaffinity(0)) // 4))
    done = subprocess.run([sys.executable, "-c", COUNT_THREADS], env=environment, capture_output=True, text=True)

    assert done.stdout.split() == [expected, str(given)], done.stderr
