"""The one place that makes clients of obstore's: from a URL and options to a link."""

from __future__ import annotations

import threading
from typing import Any

from zarrmill.keyspace.link import Link
from zarrmill.keyspace.object_store import ObjectKeys

_memory: dict[str, Any] = {}
_memory_lock = threading.Lock()


def memory_link(name: str) -> Link:
    """Return the store of a name in the memory of this process, the same one every time."""
    from obstore.store import MemoryStore

    with _memory_lock:
        if name not in _memory:
            _memory[name] = MemoryStore()
        client = _memory[name]
    return Link(f"memory://{name}", client, client, again=(memory_link, (name,)))


def memory_keys(name: str, prefix: str = "") -> ObjectKeys:
    """Return the keys of a store in the memory of this process."""
    return ObjectKeys(memory_link(name), prefix=prefix)
