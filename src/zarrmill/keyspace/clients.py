"""The one place that makes clients of obstore's: from a URL and storage options to a link."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.credentials import check_endpoint, check_findable, complete_s3, fingerprint, read_certificates
from zarrmill.keyspace.etags import EtagCheck
from zarrmill.keyspace.faults import Fault
from zarrmill.keyspace.link import Link
from zarrmill.keyspace.model import join
from zarrmill.keyspace.options import Options, flatten, sort_options
from zarrmill.keyspace.urls import StoreUrl

TIMEOUT = timedelta(seconds=300)
"""For a whole request, body included: obstore's 30 s are less than a shard of 256 MiB takes at 8 MB/s."""
CONNECT_TIMEOUT = timedelta(seconds=10)
READ_TIMEOUT = timedelta(seconds=60)
"""Silence after which a read is given up and asked for again. Not for writes: while a body is sent, all is silent."""
MAX_RETRIES = 10
BACKOFF_BASE = 3
"""A pause lasts up to so many times the one before, on average half of that: ten bridge about a quarter of a minute,
while with obstore's 2 they bridge four seconds."""
READ_RETRY_TIMEOUT = timedelta(seconds=180)
WRITE_RETRY_TIMEOUT = timedelta(seconds=600)
"""Time after which no request is repeated: longer than one that hangs, shorter than the 15 minutes that its signature
is valid."""
KEYS_PER_DELETE = {"s3": 1000, "az": 256}
"""Keys that one request removes; elsewhere each takes one."""
CACHED_LINKS = 8
"""Links that are kept: each block that a worker is sent unpickles its own, and connections are dear. A run
needs two or three, and the forty or more connections of each stay open where a process may often have 1,024."""
_CORES_PER_IO_THREAD = 4
"""One thread of the client's runtime moves 1 GB/s or more. One for each core, as is its default, makes a request of a
small value take a third more CPU, because they wake each other."""
_CLASSES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore", "http": "HTTPStore"}

Given = tuple[tuple[str, Any], ...]
"""Storage options in an order of their own, so that equal ones are found again."""
_memory: dict[str, Any] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a client is made of."""

    service: str
    root: str
    place: str
    config: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    boto3_profile: str | None = None


def open_link(url: StoreUrl, storage_options: Mapping[str, Any] | None = None) -> Link:
    """Return the way to the bucket of a URL, made once in a process for the same options. No request is made.

    Raises InvalidInputError for options that nobody knows, StoreAccessError where there can be no credentials.
    """
    if url.service == "memory":
        return _memory_link(url.root, url.bucket)
    # Another folder of the same bucket takes the same way.
    return _again(replace(url, path=""), tuple(sorted(flatten(storage_options or {}).items())))


def _again(url: StoreUrl, given: Given) -> Link:
    return _link(url, given, fingerprint())


def wrap_client(client: Any, *, read_only: bool) -> Link | Path:
    """Return the link over a client of obstore's that somebody else made, or the folder that it reads and writes."""
    kind = type(client).__name__
    if kind == "LocalStore" and client.prefix is not None:
        return Path(client.prefix)
    service = next((service for service, name in _CLASSES.items() if name == kind), "")
    names = ("bucket", "container_name")
    bucket = next((client.config[name] for name in names if name in getattr(client, "config", {})), None)
    location = str(getattr(client, "url", client)).rstrip("/")
    if bucket is not None:
        location = join(f"{service}://{bucket}", str(client.prefix or ""))
    return Link(
        location,
        client,
        None if read_only or service == "http" else client,
        can_list=service != "http",
        has_suffix_reads=service != "az",
        keys_per_delete=KEYS_PER_DELETE.get(service, 1),
        keeps_buffers=kind == "MemoryStore",
    )


@lru_cache(maxsize=CACHED_LINKS)
def _link(url: StoreUrl, given: Given, surroundings: object) -> Link:
    """Make a link; it is kept by the credentials of the moment too, so that renewed ones make a new link."""
    service, root = url.service, url.root
    options = sort_options(service, dict(given))
    recipe = _recipe(options, url)
    reader = _client(recipe, {"read_timeout": READ_TIMEOUT}, _retries(options, READ_RETRY_TIMEOUT))
    recipe.client.pop("read_timeout", None)
    writer = None if service == "http" else _client(recipe, {}, _retries(options, WRITE_RETRY_TIMEOUT))
    one_by_one = options.config.get("disable_bulk_delete") == "true"
    return Link(
        root,
        reader,
        writer,
        can_list=service != "http",
        has_suffix_reads=service != "az",
        keys_per_delete=1 if one_by_one else KEYS_PER_DELETE.get(service, 1),
        endpoint=root if service == "http" else recipe.config.get("endpoint", recipe.config.get("base_url", "")),
        etags=EtagCheck(active=options.verify_etag),
        again=(_again, (url, given)),
    )


def _memory_link(root: str, name: str) -> Link:
    """Return the store of a name in the memory of this process, the same one every time."""
    store = _stores().MemoryStore
    with _lock:
        client = _memory.setdefault(name, None) or store()
        _memory[name] = client
    return Link(root, client, client, keeps_buffers=True, again=(_memory_link, (root, name)))


def _recipe(options: Options, url: StoreUrl) -> _Recipe:
    service, root = url.service, url.root
    if service == "s3":
        settings = complete_s3(options)
        config, client, profile = settings.config, settings.client, settings.boto3_profile
    else:
        config, client, profile = dict(options.config), dict(options.client), None
    if url.account:
        config.setdefault("account_name", url.account)
    for name in ("endpoint", "base_url"):
        if service != "s3" and name in config:
            config[name] = check_endpoint(config[name], client)
    if service == "http":
        check_endpoint(root, client)
    elif profile is None:
        check_findable(service, config, root)
    if "root_certificate" in client:
        client["root_certificate"] = read_certificates(client["root_certificate"])
    return _Recipe(service, root, root if service == "http" else url.bucket, config, client, profile)


def _client(recipe: _Recipe, more: Mapping[str, Any], retries: dict[str, Any]) -> Any:
    defaults = {"timeout": TIMEOUT, "connect_timeout": CONNECT_TIMEOUT, **more}
    arguments: dict[str, Any] = {"client_options": defaults | recipe.client, "retry_config": retries}
    if recipe.config:
        arguments["config"] = recipe.config
    make = getattr(_stores(), _CLASSES[recipe.service])
    if recipe.boto3_profile is not None:
        arguments["credential_provider"] = _boto3_credentials(recipe.boto3_profile, recipe.root)
    try:
        return make(recipe.place, **arguments)
    except Exception as error:
        raise InvalidInputError(f"{recipe.root}: {Fault.of(error).line}") from error


def _retries(options: Options, timeout: timedelta) -> dict[str, Any]:
    given = options.retry
    backoff = {name: given[name] for name in ("init_backoff", "max_backoff") if name in given}
    return {
        "max_retries": given.get("max_retries", MAX_RETRIES),
        "retry_timeout": given.get("retry_timeout", timeout),
        "backoff": {"base": BACKOFF_BASE, **backoff},
    }


def _stores() -> Any:
    import obstore.store

    _start_runtime(obstore.store)
    return obstore.store


@lru_cache(maxsize=1)
def _start_runtime(stores: Any) -> None:
    """Start the threads that do the client's input and output: few, unless the environment says how many."""
    variable = "TOKIO_WORKER_THREADS"
    with _lock:
        if variable in os.environ:
            return
        os.environ[variable] = str(max(1, len(os.sched_getaffinity(0)) // _CORES_PER_IO_THREAD))
        try:
            # The first request of all starts them.
            stores.MemoryStore().list().collect()
        finally:
            del os.environ[variable]


def _boto3_credentials(profile: str, where: str) -> Any:
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise InvalidInputError(
            f"{where}: the keys of AWS profile {profile} must be fetched (single sign-on, a role or a process). Run "
            f'`pip install boto3`, or `eval "$(aws configure export-credentials --format env --profile {profile})"`.'
        ) from error
    try:
        return Boto3CredentialProvider(boto3.Session(profile_name=profile))
    except Exception as error:
        raise InvalidInputError(f"{where}: AWS profile {profile}: {' '.join(str(error).split())}") from error
