"""Where a store of light curves is: a path, a URL or a zarr Store as the keys below it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from zarr.abc.store import Store

from zarrmill import store
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.zarr_keys import ZarrKeys

Location = str | os.PathLike[str] | Store | KeySpace
"""Whatever says where a store is."""


def open_keys(location: Location, *, storage_options: Mapping[str, Any] | None = None) -> KeySpace:
    """Return the keys at a location where there may be nothing yet. Raises InvalidInputError for URLs that are none.

    Light curves are read and written through checksums of their own, so that no other is compared.
    """
    if isinstance(location, Store):
        return ZarrKeys(location)
    if isinstance(location, str | os.PathLike):
        return store.open_keys(location, storage_options=storage_options).unchecked()
    return location
