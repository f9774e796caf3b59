"""Where a store of light curves is: a path or URL as the keys below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.store import local_path


def open_keys(location: Any, *, storage_options: Mapping[str, Any] | None = None) -> KeySpace:
    """Return the keys at a path or URL; there need be nothing yet."""
    import os

    if hasattr(location, "get_suffix"):
        keys: KeySpace = location
        return keys
    text = os.fspath(location)
    if text.startswith("memory://"):
        from zarrmill.keyspace.clients import memory_keys

        name, _, prefix = text.removeprefix("memory://").partition("/")
        return memory_keys(name, prefix)
    return LocalKeys(local_path(text))
