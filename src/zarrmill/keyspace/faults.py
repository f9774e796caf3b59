"""From what the client library raises to one line: what failed, where, and what to do."""

from __future__ import annotations

from zarrmill.errors import AlreadyExistsError, NotFoundError, StoreAccessError, StoreUnavailableError, ZarrmillError


def first_line(error: BaseException) -> str:
    """Return the message of a client's error without the structure that follows it."""
    return " ".join(str(error).split("\n\nDebug source")[0].split())


def explain(error: Exception, doing: str, where: str) -> ZarrmillError:
    """Return the error of zarrmill's that says what the client's error means.

    ``doing`` is what failed ("reading"), ``where`` the URL with the key.
    """
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return StoreAccessError(f"{doing} {where}: {first_line(error)}")
    if kind == "AlreadyExistsError":
        return AlreadyExistsError(f"{where} exists already")
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"{doing} {where}: {first_line(error)}")
    return StoreUnavailableError(f"{doing} {where}: {first_line(error)}")


def is_unsure(error: BaseException | None) -> bool:
    """Tell whether a conditional write that failed so may have been done all the same."""
    return type(error).__name__ in ("AlreadyExistsError", "GenericError")


def is_beyond_end(error: Exception) -> bool:
    """Tell whether a read failed because it starts where the value has ended already."""
    text = str(error)
    return "416" in text or "InvalidRange" in text or "StartTooLarge" in text


def names_bucket(error: FileNotFoundError) -> bool:
    """Tell whether a path is missing because its bucket is."""
    text = str(error)
    return "NoSuchBucket" in text or "ContainerNotFound" in text or "bucket does not exist" in text
