"""Profiles of the AWS command line: what its two files say about keys, region and endpoint."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zarrmill.errors import InvalidInputError

_DYNAMIC = (
    "role_arn",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "credential_process",
    "web_identity_token_file",
    "login_session",
)
"""Entries of profiles whose keys must be fetched first."""
Section = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Profile:
    """What the files say of one profile; "" where they say nothing."""

    name: str
    """Its name."""
    access_key_id: str = ""
    """Key."""
    secret_access_key: str = ""
    """Secret of the key."""
    session_token: str = ""
    """Token of temporary keys."""
    region: str = ""
    """Region."""
    endpoint: str = ""
    """Endpoint for S3, or for all services."""
    dynamic: str = ""
    """The entry that says how keys are fetched, where the profile has none of its own."""


def read_profile(name: str | None, environment: Mapping[str, str] | None = None) -> Profile | None:
    """Return a profile: the one named, or that of AWS_PROFILE, or "default"; None when nobody named the one missing.

    Keys come from ``~/.aws/credentials`` before ``~/.aws/config``, or from the files that AWS_SHARED_CREDENTIALS_FILE
    and AWS_CONFIG_FILE name. Raises InvalidInputError for a named profile that is in neither, and for files that
    cannot be read.
    """
    env = os.environ if environment is None else environment
    wanted = name or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE") or ""
    credentials_path, config_path = profile_paths(env)
    credentials, config = _sections(credentials_path), _sections(config_path)
    chosen = wanted or "default"
    settings = config.get(f"profile {chosen}", config.get(chosen, {}) if chosen == "default" else {})
    keys = credentials.get(chosen, {})
    if not settings and not keys:
        if not wanted:
            return None
        known = sorted({*credentials, *(s.removeprefix("profile ") for s in config if _is_profile(s))})
        others = f"There are {', '.join(known)}." if known else "Neither has any."
        raise InvalidInputError(f"AWS profile {wanted} is neither in {credentials_path} nor in {config_path}. {others}")
    return _profile(chosen, keys, settings, config)


def profile_paths(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Return the files of credentials and of settings."""
    return (
        _path(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        _path(environment, "AWS_CONFIG_FILE", "config"),
    )


def _profile(name: str, keys: Section, settings: Section, config: Mapping[str, Section]) -> Profile:
    both = {**settings, **keys}
    services = config.get(f"services {settings.get('services', '')}", {})
    nested = (_nested(services.get("s3", "")), _nested(both.get("s3", "")))
    endpoint = next(
        (found["endpoint_url"] for found in nested if "endpoint_url" in found), both.get("endpoint_url", "")
    )
    static = keys if "aws_access_key_id" in keys else settings
    dynamic = next((entry for entry in _DYNAMIC if entry in both), "")
    return Profile(
        name=name,
        access_key_id=static.get("aws_access_key_id", ""),
        secret_access_key=static.get("aws_secret_access_key", ""),
        session_token=static.get("aws_session_token", ""),
        region=both.get("region", ""),
        endpoint=endpoint,
        # A role is taken on with the keys of the profile, which alone would not be what was meant.
        dynamic=dynamic if dynamic == "role_arn" or "aws_access_key_id" not in static else "",
    )


def _path(env: Mapping[str, str], variable: str, name: str) -> Path:
    return Path(env.get(variable) or f"~/.aws/{name}").expanduser()


def _sections(path: Path) -> dict[str, Section]:
    # No section of these files gives defaults to the others.
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file, str(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error) as error:
        raise InvalidInputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _is_profile(section: str) -> bool:
    return section == "default" or section.startswith("profile ")


def _nested(text: str) -> dict[str, str]:
    """Return the entries of an indented block: ``s3 =`` with ``endpoint_url = …`` below it."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}
