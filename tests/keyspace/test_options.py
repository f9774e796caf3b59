"""keyspace/options.py: which storage options there are, and what they mean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.options import Options, duration, is_true, parse_pairs, sort_options


def test_options_go_where_they_belong() -> None:
    """The service, the HTTP client and the repeating of requests each get their own, as text."""
    given = {"region": "auto", "allow_http": True, "max_retries": "3", "retry_timeout": 5, "timeout": "2min"}

    assert sort_options("s3", given | {"profile": "lab", "verify_etag": "no"}) == Options(
        config={"region": "auto"},
        client={"allow_http": "true", "timeout": timedelta(minutes=2)},
        retry={"max_retries": 3, "retry_timeout": timedelta(seconds=5)},
        profile="lab",
        verify_etag=False,
    )


def test_none_is_no_option() -> None:
    """An option that is None is one that was not given."""
    assert sort_options("s3", {"region": None}) == sort_options("s3", None) == Options()


@pytest.mark.parametrize(
    ("service", "name", "short"),
    [
        ("s3", "AWS_REGION", "region"),
        ("s3", "secret-access-key", "secret_access_key"),
        ("gs", "google_service_account", "service_account"),
        ("az", "AZURE_STORAGE_ACCOUNT_NAME", "account_name"),
        ("az", "azure_client_id", "client_id"),
    ],
)
def test_names_may_be_those_of_variables(service: str, name: str, short: str) -> None:
    """An option may be spelled as the environment variable of the same meaning."""
    assert sort_options(service, {name: "x"}).config == {short: "x"}


def test_options_are_written_as_pairs() -> None:
    """On the command line an option is a name and a value, which may be empty or hold the sign itself."""
    assert parse_pairs(["a=b=c", " b =", "c=d"]) == {"a": "b=c", "b": "", "c": "d"}
    for pair in ("region", "=x", ""):
        with pytest.raises(InvalidInputError, match=r"has no value\. Write name=value"):
            parse_pairs([pair])


def test_groups_are_opened() -> None:
    """Options may be grouped as obstore's own are."""
    grouped: dict[str, Any] = {
        "client_options": {"timeout": "1s"},
        "retry_config": {"max_retries": 1, "backoff": {"init_backoff": "1ms"}},
    }
    flat = {"timeout": "1s", "max_retries": 1, "init_backoff": "1ms"}

    assert sort_options("s3", grouped) == sort_options("s3", flat)


UNKNOWN = {
    "misspelled": ("s3", "regoin", "Perhaps region"),
    "of another library": ("s3", "anon", "Perhaps skip_signature."),
    "of another service": ("gs", "region", "Known are allow_http, "),
    "of no service": ("http", "access_key_id", "Known are allow_http, "),
    "nothing like it": ("s3", "zzz", "Known are access_key_id, "),
}


@pytest.mark.parametrize(("service", "name", "remedy"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_options_are_refused(service: str, name: str, remedy: str) -> None:
    """An option that a service does not have is refused with the nearest that it has."""
    with pytest.raises(
        InvalidInputError, match=f"storage option {name} is not one of {service}:// locations"
    ) as caught:
        sort_options(service, {name: "x"})

    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 5), ("5", 5), ("5s", 5), (2.5, 2.5), ("250ms", 0.25), ("2 min", 120), ("1h", 3600), (timedelta(seconds=3), 3)],
)
def test_times_have_a_unit_or_are_seconds(value: Any, seconds: float) -> None:
    """A number alone is of seconds."""
    assert duration("timeout", value) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["soon", "", "5 parsecs", "-1"])
def test_what_is_no_time_is_refused(value: str) -> None:
    """A time that is none is refused with how to write one."""
    with pytest.raises(InvalidInputError, match=r"storage option timeout=.* is no time\. Write seconds, or 250ms"):
        sort_options("s3", {"timeout": value})


def test_what_is_no_number_is_refused() -> None:
    """A number of retries must be one."""
    with pytest.raises(InvalidInputError, match="max_retries='often' is no number"):
        sort_options("s3", {"max_retries": "often"})


def test_truth_has_many_words() -> None:
    """Text from the command line means what it says."""
    assert all(is_true(value) for value in (True, "true", "1", "ON", " yes "))
    assert not any(is_true(value) for value in (False, "false", "0", "off", "", "no"))
