"""Where credentials, regions and endpoints come from when no storage option gives them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zarrmill.errors import InvalidInputError, StoreAccessError
from zarrmill.keyspace.aws_profile import Profile, profile_paths, read_profile
from zarrmill.keyspace.options import Options, is_true

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SOURCES = {
    "s3": (
        "access_key_id",
        "skip_signature",
        "web_identity_token_file",
        "container_credentials_relative_uri",
        "container_credentials_full_uri",
    ),
    "gs": (
        "service_account",
        "service_account_path",
        "service_account_key",
        "application_credentials",
        "bearer_token",
        "skip_signature",
    ),
    "az": (
        "account_key",
        "access_key",
        "sas_key",
        "sas_token",
        "token",
        "bearer_token",
        "client_secret",
        "federated_token_file",
        "use_azure_cli",
        "use_emulator",
        "skip_signature",
    ),
}
"""Options, and environment variables of the same names, that say how a service is to be convinced."""
_PREFIXES = {"s3": ("AWS_",), "gs": ("GOOGLE_",), "az": ("AZURE_STORAGE_", "AZURE_")}
_GOOGLE_FILE = "~/.config/gcloud/application_default_credentials.json"
METADATA_SERVICE = ("169.254.169.254", 80)
"""Where virtual machines of all three clouds are told their credentials."""
METADATA_SECONDS = 1.0
"""Time after which there is no such service: it is on the same host."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """What a client for S3 needs beside the bucket."""

    config: dict[str, Any]
    """The service's options."""
    client: dict[str, Any]
    """Options of the HTTP client."""
    boto3_profile: str | None = field(default=None)
    """Profile whose keys must be fetched, which boto3 does."""


def complete_s3(options: Options, environment: Mapping[str, str] | None = None) -> S3Settings:
    """Return the options of S3 with what the environment and the AWS profile say.

    An option comes first, then the environment, then the profile, except that a profile that an option names comes
    before the environment. A custom endpoint may be one of http://, and gets the bucket in the path of a request rather
    than in the name of the host.
    """
    env = os.environ if environment is None else environment
    profile = _profile(options, env)
    config = dict(options.config)
    boto3_profile = _add_keys(config, profile, env, named=options.profile is not None)
    if "region" not in config and profile.region and not ({"AWS_REGION", "AWS_DEFAULT_REGION"} & env.keys()):
        config["region"] = profile.region
    endpoint = config.pop("endpoint_url", None) or config.pop("endpoint", None)
    if endpoint is None and options.profile is not None:
        endpoint = profile.endpoint or None
    endpoint = endpoint or next((env[name] for name in _ENDPOINTS if env.get(name)), None) or profile.endpoint
    client = dict(options.client)
    if not endpoint.lower().startswith("http://") and "AWS_UNSIGNED_PAYLOAD" not in env:
        # TLS protects what is sent; a signature over it would take six times the CPU of sending it.
        config.setdefault("unsigned_payload", "true")
    if endpoint:
        # The second name wins over the environment variable of the same name, the first does not.
        config["endpoint"] = config["aws_endpoint_url_s3"] = check_endpoint(endpoint, client)
    bundle = env.get("AWS_CA_BUNDLE")
    if bundle and "root_certificate" not in client:
        client["root_certificate"] = bundle
    return S3Settings(config, client, boto3_profile)


def check_endpoint(endpoint: str, client: dict[str, Any]) -> str:
    """Return an endpoint without a slash at its end, and let the client speak http where it is one of http."""
    if not endpoint.lower().startswith(("http://", "https://")):
        raise InvalidInputError(f"endpoint {endpoint} has no scheme. Write https://{endpoint}, or http://{endpoint}.")
    if endpoint.lower().startswith("http://"):
        client.setdefault("allow_http", "true")
    return endpoint.rstrip("/")


def check_findable(service: str, config: Mapping[str, Any], where: str) -> None:
    """Raise StoreAccessError where nothing says what the credentials are and no metadata service could be asked.

    Otherwise the client would ask the machine's metadata service for minutes on machines that have none.
    """
    env = os.environ
    given = {name for name in _SOURCES[service] if name in config}
    given |= {p + name.upper() for p in _PREFIXES[service] for name in _SOURCES[service]} & env.keys()
    if given or (service == "gs" and Path(_GOOGLE_FILE).expanduser().exists()) or "metadata_endpoint" in config:
        return
    if is_true(env.get("AWS_EC2_METADATA_DISABLED", "")) or not _answers(METADATA_SERVICE):
        how = {
            "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
            "az": "Set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY, or the storage option use_azure_cli=true",
        }[service]
        raise StoreAccessError(
            f"{where}: no credentials were found. {how}; for public data give the storage option skip_signature=true."
        )


def fingerprint() -> tuple[object, ...]:
    """Return something that changes whenever credentials do: variables, and the times of the files of AWS."""
    variables = (item for item in os.environ.items() if item[0].startswith(("AWS_", "GOOGLE_", "AZURE_")))
    return (*sorted(variables), *(_written(path) for path in profile_paths(os.environ)))


def read_certificates(value: str | bytes) -> bytes:
    """Return certificates in PEM: themselves, or those in the file that is named."""
    if isinstance(value, bytes) or "-----BEGIN" in value:
        return value if isinstance(value, bytes) else value.encode()
    try:
        return Path(value).expanduser().read_bytes()
    except OSError as error:
        raise InvalidInputError(f"certificates {value} cannot be read: {error.strerror}") from error


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _profile(options: Options, env: Mapping[str, str]) -> Profile:
    return read_profile(options.profile, env) or Profile("default")


def _add_keys(config: dict[str, Any], profile: Profile, env: Mapping[str, str], *, named: bool) -> str | None:
    """Add the keys of a profile unless others come first; return the profile when its keys must be fetched."""
    if any(source in config for source in _SOURCES["s3"]):
        return None
    if not named and any("AWS_" + source.upper() in env for source in _SOURCES["s3"]):
        return None
    if profile.dynamic:
        return profile.name
    if profile.access_key_id:
        config["access_key_id"] = profile.access_key_id
        config["secret_access_key"] = profile.secret_access_key
        if profile.session_token:
            config["session_token"] = profile.session_token
    return None


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=METADATA_SECONDS).close()
    except OSError:
        return False
    return True
