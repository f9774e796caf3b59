"""Storage options: which there are, and to which part of a client each belongs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from zarrmill.errors import InvalidInputError

_CONFIG = {
    "s3": (
        "access_key_id",
        "secret_access_key",
        "session_token",
        "token",
        "region",
        "default_region",
        "endpoint",
        "endpoint_url",
        "virtual_hosted_style_request",
        "unsigned_payload",
        "checksum_algorithm",
        "metadata_endpoint",
        "imdsv1_fallback",
        "container_credentials_relative_uri",
        "container_credentials_full_uri",
        "container_authorization_token_file",
        "web_identity_token_file",
        "role_arn",
        "role_session_name",
        "sts_endpoint",
        "skip_signature",
        "s3_express",
        "request_payer",
        "conditional_put",
        "disable_tagging",
        "disable_bulk_delete",
        "server_side_encryption",
        "sse_kms_key_id",
        "sse_bucket_key_enabled",
        "sse_customer_key_base64",
    ),
    "gs": (
        "service_account",
        "service_account_path",
        "service_account_key",
        "application_credentials",
        "bearer_token",
        "base_url",
        "skip_signature",
    ),
    "az": (
        "account_name",
        "account_key",
        "access_key",
        "client_id",
        "client_secret",
        "tenant_id",
        "authority_host",
        "credential_type",
        "sas_key",
        "sas_token",
        "token",
        "bearer_token",
        "use_emulator",
        "endpoint",
        "msi_endpoint",
        "object_id",
        "msi_resource_id",
        "federated_token_file",
        "use_azure_cli",
        "use_fabric_endpoint",
        "encryption_key",
        "skip_signature",
        "disable_tagging",
    ),
    "http": (),
}
"""Names of the services' own options, as obstore spells them without a prefix."""
_PREFIXES = {"s3": ("aws_",), "gs": ("google_",), "az": ("azure_storage_", "azure_"), "http": ()}
"""What the names of environment variables have in front."""
_CLIENT = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "randomize_addresses",
    "read_timeout",
    "root_certificate",
    "timeout",
    "user_agent",
)
"""Names of the options of every client that speaks HTTP."""
_RETRY = ("max_retries", "retry_timeout", "init_backoff", "max_backoff")
_OWN = ("verify_etag", "profile")
_GROUPS = ("client_options", "retry_config", "config", "backoff")
_OTHER_NAMES = {
    "anon": "skip_signature",
    "key": "access_key_id",
    "secret": "secret_access_key",
    "project": "service_account",
    "retries": "max_retries",
    "retry_max": "max_retries",
}
"""What other libraries call an option."""
_DURATIONS = {*(name for name in _CLIENT if name.endswith("timeout")), *_RETRY[1:]}
_SECONDS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Options:
    """Storage options by the part that they belong to."""

    config: dict[str, Any] = field(default_factory=dict)
    """The service's own."""
    client: dict[str, Any] = field(default_factory=dict)
    """The HTTP client's."""
    retry: dict[str, Any] = field(default_factory=dict)
    """How often and how long a request is repeated."""
    profile: str | None = None
    """Profile of the AWS files."""
    verify_etag: bool = True
    """Whether values are compared with the MD5 that their ETag is."""


def sort_options(service: str, given: Mapping[str, Any] | None) -> Options:
    """Return the options of a service by the part that they belong to; raises InvalidInputError for unknown ones.

    They may be grouped as obstore groups them: ``client_options``, ``retry_config``, ``config``, ``backoff``. Durations
    are seconds, or have a unit: 5, "5", "5s", "250ms", "2min".

    >>> sort_options("s3", {"region": "eu-west-1", "timeout": "2min"}).client
    {'timeout': datetime.timedelta(seconds=120)}
    """
    found = Options()
    values: dict[str, Any] = {}
    for name, value in flatten(given or {}).items():
        short = _short(service, name)
        if value is None:
            continue
        if short in _DURATIONS:
            value = duration(name, value)
        if short in _OWN:
            values[short] = value
        elif short in _RETRY:
            found.retry[short] = _count(name, value) if short == "max_retries" else value
        else:
            (found.client if short in _CLIENT else found.config)[short] = _text(value)
    return Options(
        found.config,
        found.client,
        found.retry,
        values.get("profile"),
        is_true(values.get("verify_etag", True)),
    )


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Return options that were written as on the command line.

    >>> parse_pairs(["region=auto", "endpoint=https://host/?a=b"])
    {'region': 'auto', 'endpoint': 'https://host/?a=b'}
    """
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise InvalidInputError(
                f"storage option {pair!r} has no value. Write name=value, such as region=eu-west-1."
            )
        found[name.strip()] = value
    return found


def flatten(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without the groups that they are in.

    >>> flatten({"region": "auto", "client_options": {"timeout": "5s"}})
    {'region': 'auto', 'timeout': '5s'}
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        found |= flatten(value) if name in _GROUPS and isinstance(value, Mapping) else {name: value}
    return found


def is_true(value: Any) -> bool:
    """Tell whether an option is set, as text or as a value of Python."""
    return str(value).strip().lower() in ("1", "true", "on", "yes", "y")


def duration(name: str, value: Any) -> timedelta:
    """Return the time that an option says; raises InvalidInputError for one that says none."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([a-z]*)\s*", str(value))
    unit = _SECONDS.get((found[2] or "s") if found else "")
    if found is None or unit is None:
        raise InvalidInputError(f"storage option {name}={value!r} is no time. Write seconds, or 250ms, 30s, 2min, 1h.")
    return timedelta(seconds=float(found[1]) * unit)


def _short(service: str, name: str) -> str:
    """Return an option's name without the prefix that it has as an environment variable."""
    known = (*_CONFIG[service], *_CLIENT, *_RETRY, *_OWN)
    text = name.strip().lower().replace("-", "_")
    for prefix in ("", *_PREFIXES[service]):
        if text.startswith(prefix) and text.removeprefix(prefix) in known:
            return text.removeprefix(prefix)
    near = [_OTHER_NAMES[text]] if _OTHER_NAMES.get(text) in known else difflib.get_close_matches(text, known)
    remedy = f"Perhaps {' or '.join(near)}." if near else f"Known are {', '.join(sorted(known))}."
    raise InvalidInputError(f"storage option {name} is not one of {service}:// locations. {remedy}")


def _count(name: str, value: Any) -> int:
    try:
        return max(0, int(value))
    except ValueError:
        raise InvalidInputError(f"storage option {name}={value!r} is no number. Write one, such as 10.") from None


def _text(value: Any) -> Any:
    """Return a value as the client takes it: text, except for times."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, timedelta | bytes) else str(value)
