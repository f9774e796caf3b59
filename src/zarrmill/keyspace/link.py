"""A way to one bucket: the clients of obstore's, and how they are made again in another process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.etags import EtagCheck


@dataclass(frozen=True, slots=True)
class Link:
    """A way to one bucket, or to a folder of one."""

    location: str
    """URL of the root, without a slash at the end."""
    client: Any = field(compare=False)
    """The store of obstore's through which everything but values is read and written."""
    writer: Any = field(compare=False)
    """The one through which values are written, whose requests may take longer; None where nothing can be written."""
    can_list: bool = True
    """Whether keys can be listed."""
    has_suffix_reads: bool = True
    """Whether the service can read the end of a value without knowing its length."""
    keys_per_delete: int = 1
    """Keys that one request removes."""
    keeps_buffers: bool = False
    """Whether what is written stays in the memory that it came in, which its owner may use again."""
    endpoint: str = ""
    """URL of the server where it is not one of the service's own."""
    etags: EtagCheck = field(default_factory=EtagCheck, compare=False)
    """Checks what is read whole against the service's checksum."""
    again: tuple[Callable[..., Link], tuple[Any, ...]] | None = field(default=None, compare=False)
    """What makes this link in another process; None for a client that goes there itself."""

    def check_writer(self) -> Any:
        """Return the client for writing; raises InvalidInputError where there is none."""
        if self.writer is None:
            raise InvalidInputError(f"{self.location} can only be read. Give another target.")
        return self.writer

    def check_lists(self) -> None:
        """Raise InvalidInputError where keys cannot be listed."""
        if not self.can_list:
            raise InvalidInputError(
                f"{self.location}: a web server lists no keys. Give the URL of one array, or of a group that has "
                f"consolidated metadata."
            )

    def __reduce__(self) -> Any:
        if self.again is not None:
            return self.again
        return Link, tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "again")
