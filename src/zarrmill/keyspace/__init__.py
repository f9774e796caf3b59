"""The keys of one store below one root, for plain synchronous use from any thread: local, object store, or zarr's."""

from zarrmill.keyspace.model import Buffer, KeyInfo, KeySpace, RequestCounts, Requests

__all__ = ["Buffer", "KeyInfo", "KeySpace", "RequestCounts", "Requests"]
