"""keyspace/credentials.py: where credentials, regions and endpoints come from."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import zarrmill.keyspace.credentials as credentials
from zarrmill.errors import InvalidInputError, StoreAccessError
from zarrmill.keyspace.credentials import (
    S3Settings,
    check_endpoint,
    check_findable,
    complete_s3,
    fingerprint,
    read_certificates,
)
from zarrmill.keyspace.options import sort_options

KEYS = {"access_key_id": "lab-key", "secret_access_key": "lab-secret", "session_token": "lab-token"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables of a machine with two profiles."""
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = lab-key\naws_secret_access_key = lab-secret\naws_session_token = lab-token\n"
    )
    (tmp_path / "config").write_text(
        "[profile lab]\nregion = lab-region\nendpoint_url = https://lab/\n[profile sso]\nsso_session = company\n"
    )
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without anything of a cloud."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def complete(environment: dict[str, str], **options: str) -> S3Settings:
    return complete_s3(sort_options("s3", options), environment)


def test_a_profile_gives_what_nothing_else_does(environment: dict[str, str]) -> None:
    """Keys, region and endpoint come from the profile that the environment names."""
    found = complete(environment | {"AWS_PROFILE": "lab"})

    assert found.config.items() >= {**KEYS, "region": "lab-region", "endpoint": "https://lab"}.items()
    assert found.boto3_profile is None


def test_variables_come_before_the_profile(environment: dict[str, str]) -> None:
    """Keys, region and endpoint of the environment are left to the client, which reads those itself."""
    variables = {"AWS_PROFILE": "lab", "AWS_ACCESS_KEY_ID": "env-key", "AWS_REGION": "env-region"}
    found = complete(environment | variables | {"AWS_ENDPOINT_URL": "https://env"})

    assert "access_key_id" not in found.config
    assert "region" not in found.config
    assert found.config["endpoint"] == "https://env"


def test_options_come_before_all(environment: dict[str, str]) -> None:
    """What an option says is not looked for elsewhere, and an endpoint for S3 comes before one for all services."""
    variables = {"AWS_PROFILE": "lab", "AWS_ACCESS_KEY_ID": "env-key", "AWS_ENDPOINT_URL_S3": "https://env-s3"}
    variables["AWS_ENDPOINT_URL"] = "https://env"
    given = {"access_key_id": "mine", "secret_access_key": "mine", "region": "mine"}

    assert complete(environment | variables, **given).config["endpoint"] == "https://env-s3"
    found = complete(environment | variables, **given, endpoint="https://mine/").config
    assert found.items() >= {**given, "endpoint": "https://mine", "aws_endpoint_url_s3": "https://mine"}.items()
    assert "session_token" not in found


def test_a_profile_that_an_option_names_comes_before_variables(environment: dict[str, str]) -> None:
    """Somebody who names a profile on the command line does not mean the keys in the environment."""
    variables = {"AWS_ACCESS_KEY_ID": "env-key", "AWS_ENDPOINT_URL": "https://env"}
    found = complete(environment | variables, profile="lab").config

    assert found.items() >= {**KEYS, "endpoint": "https://lab"}.items()


def test_keys_that_must_be_fetched_are_left_to_boto3(environment: dict[str, str]) -> None:
    """Single sign-on and roles are not read from the files."""
    assert complete(environment, profile="sso").boto3_profile == "sso"
    assert complete(environment | {"AWS_PROFILE": "sso"}).boto3_profile == "sso"
    assert complete(environment | {"AWS_PROFILE": "sso"}, skip_signature="true").boto3_profile is None


def test_http_endpoints_are_allowed() -> None:
    """An endpoint of http:// says by itself that http is meant; there the payload is signed."""
    http = complete_s3(sort_options("s3", {"endpoint": "http://host:9000/"}), {})
    https = complete_s3(sort_options("s3", {"endpoint": "https://host"}), {})

    assert (http.client, "unsigned_payload" in http.config) == ({"allow_http": "true"}, False)
    assert (https.client, https.config["unsigned_payload"]) == ({}, "true")
    assert complete_s3(sort_options("s3", {}), {}).config == {"unsigned_payload": "true"}


def test_an_endpoint_needs_a_scheme() -> None:
    """A host alone is refused before the client, which would panic, sees it."""
    with pytest.raises(InvalidInputError, match=r"endpoint host:9000 has no scheme\. Write https://host:9000, or"):
        check_endpoint("host:9000", {})


def test_certificates_may_be_in_a_file(tmp_path: Path) -> None:
    """Certificates are given as themselves or as a file."""
    pem = b"-----BEGIN CERTIFICATE-----\n"
    (tmp_path / "ca.pem").write_bytes(pem)

    assert read_certificates(str(tmp_path / "ca.pem")) == read_certificates(pem) == read_certificates(pem.decode())
    assert complete_s3(sort_options("s3", {}), {"AWS_CA_BUNDLE": "x.pem"}).client == {"root_certificate": "x.pem"}
    with pytest.raises(InvalidInputError, match=r"certificates .*none\.pem cannot be read: No such file"):
        read_certificates(str(tmp_path / "none.pem"))


REMEDIES = {
    "s3": "Set AWS_ACCESS_KEY_ID",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "Set AZURE_STORAGE_ACCOUNT",
}


@pytest.mark.parametrize(("service", "remedy"), REMEDIES.items(), ids=REMEDIES)
@pytest.mark.usefixtures("bare")
def test_no_credentials_are_told_at_once(monkeypatch: pytest.MonkeyPatch, service: str, remedy: str) -> None:
    """Without credentials and without a metadata service nobody waits for one."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(credentials, "METADATA_SERVICE", unused.getsockname())
        with pytest.raises(StoreAccessError, match=f"x://bucket: no credentials were found. {remedy}"):
            check_findable(service, {}, "x://bucket")


@pytest.mark.usefixtures("bare")
def test_a_metadata_service_may_have_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine's metadata service answers, the client will ask it, unless that was forbidden."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(credentials, "METADATA_SERVICE", server.getsockname())
        check_findable("s3", {}, "s3://bucket")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(StoreAccessError):
            check_findable("s3", {}, "s3://bucket")


@pytest.mark.parametrize(
    ("service", "variable"),
    [
        ("s3", "AWS_ACCESS_KEY_ID"),
        ("s3", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("gs", "GOOGLE_SERVICE_ACCOUNT"),
        ("az", "AZURE_STORAGE_ACCOUNT_KEY"),
        ("az", "AZURE_CLIENT_SECRET"),
    ],
)
@pytest.mark.usefixtures("bare")
def test_variables_are_credentials(monkeypatch: pytest.MonkeyPatch, service: str, variable: str) -> None:
    """What the environment or an option gives is enough."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(variable, "x")
    check_findable(service, {}, "x://bucket")
    monkeypatch.delenv(variable)

    check_findable(service, {"skip_signature": "true"}, "x://bucket")
    with pytest.raises(StoreAccessError):
        check_findable(service, {}, "x://bucket")


@pytest.mark.usefixtures("bare")
def test_renewed_credentials_are_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fingerprint changes with a variable, and with a file of AWS that is written."""
    seen = [fingerprint()]
    monkeypatch.setenv("AWS_SESSION_TOKEN", "new")
    seen.append(fingerprint())
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\n")
    seen.append(fingerprint())

    assert len(set(seen)) == 3
    assert fingerprint() == seen[2]
