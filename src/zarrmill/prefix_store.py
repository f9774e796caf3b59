"""The part of a zarr store below a path, as a store of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype


class PrefixStore(Store):
    """The part of a zarr store below a path, as a store of its own."""

    def __init__(self, store: Store, *, prefix: str) -> None:
        super().__init__(read_only=store.read_only)
        self._store = store
        self._prefix = prefix.strip("/") + "/"

    def with_read_only(self, read_only: bool = False) -> PrefixStore:
        """Return the same part of the store in another mode."""
        return PrefixStore(self._store.with_read_only(read_only), prefix=self._prefix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrefixStore) and (self._store, self._prefix) == (other._store, other._prefix)

    def __hash__(self) -> int:
        return hash((type(self._store), self._prefix))

    def __str__(self) -> str:
        return f"{self._store}/{self._prefix.rstrip('/')}"

    @property
    def supports_writes(self) -> bool:
        """Whether keys can be written."""
        return self._store.supports_writes

    @property
    def supports_deletes(self) -> bool:
        """Whether keys can be deleted."""
        return self._store.supports_deletes

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        return self._store.supports_listing

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return the bytes of a key, None where it is missing."""
        return await self._store.get(self._prefix + key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of several keys."""
        return await self._store.get_partial_values(prototype, [(self._prefix + k, r) for k, r in key_ranges])

    async def exists(self, key: str) -> bool:
        """Tell whether a key is there."""
        return await self._store.exists(self._prefix + key)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a key."""
        await self._store.set(self._prefix + key, value)

    async def delete(self, key: str) -> None:
        """Remove a key."""
        await self._store.delete(self._prefix + key)

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key that begins with a prefix."""
        async for key in self._store.list_prefix(self._prefix + prefix):
            yield key.removeprefix(self._prefix)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a prefix."""
        async for name in self._store.list_dir((self._prefix + prefix).rstrip("/")):
            yield name
