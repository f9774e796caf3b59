"""Stores that count how often chunks of a source are opened; a run that uses them is not timed."""

from __future__ import annotations

from typing import Any

from zarr.storage import LocalStore


def _is_chunk(key: str) -> bool:
    return not key.rpartition("/")[2].startswith((".z", "zarr.json"))


class CountingStore(LocalStore):
    """A read-only local store that counts the reads of anything but metadata."""

    reads = 0

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """Count, then read."""
        CountingStore.reads += _is_chunk(key)
        return await super().get(key, *args, **kwargs)

    if hasattr(LocalStore, "get_sync"):  # newer releases read local files without the event loop

        def get_sync(self, key: str, *args: Any, **kwargs: Any) -> Any:
            """Count, then read."""
            CountingStore.reads += _is_chunk(key)
            return super().get_sync(key, *args, **kwargs)
