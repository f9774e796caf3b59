"""From what the client library raises to one line: what failed, where, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zarrmill.errors import (
    AlreadyExistsError,
    InvalidInputError,
    NotFoundError,
    StoreAccessError,
    StoreUnavailableError,
    ZarrmillError,
)

_STATUS = re.compile(r"status code: (\d{3}[^:]*)")
_CODE = re.compile(r'(?:<Code>|\bcode: "?)([A-Z]\w+)')
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_RETRIES = re.compile(r"after (\d+) retries")
_SYSTEM = re.compile(r'(?:message|error): "([^"]+)"')
_URL = re.compile(r"\b(https?://[^/\s,]+)")

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "ExpiredAuthenticationToken"}
_UNKNOWN = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthenticationFailed", "InvalidSecurity"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "AuthorizationPermissionMismatch"}
_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_METADATA_SERVICE = ("169.254.", "metadata.google", "token request", "latest/api/token")
"""What an error names when credentials were looked for in the machine's metadata service, the last place of all."""

_CONNECTION = {
    "kind: Timeout": "no answer in time",
    "TimedOut": "no answer in time",
    "InvalidMessage": "the endpoint does not speak https",
    "UnknownIssuer": "its certificate is not trusted (the storage option root_certificate can name others)",
    "IncompleteMessage": "the connection was closed before the answer came",
}
"""What the structure of an error says of a connection."""
_NEEDED = {
    "reading": "s3:GetObject",
    "asking for": "s3:GetObject",
    "writing": "s3:PutObject",
    "removing": "s3:DeleteObject",
    "listing": "s3:ListBucket",
}
"""The permission by what was being done."""
_MORE = {"reading": " Without s3:ListBucket, S3 gives the same answer for keys that are missing."}


@dataclass(frozen=True, slots=True)
class Fault:
    """What the text of a client's error says."""

    text: str
    """All of it, for what no other field holds."""
    line: str
    """The message, without the structure that follows it."""
    status: str
    """HTTP status with its words: "503 Service Unavailable"; "" where no answer came."""
    code: str
    """The service's own word: "SlowDown"; "" where it gave none."""

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """Return what an error says."""
        text = str(error)
        line = " ".join(text.split("\n\nDebug source")[0].split())
        return cls(text, line, _first(_STATUS, line).strip(), _first(_CODE, text))

    @property
    def answer(self) -> str:
        """The service's answer: status, its own word and message, and how often it was asked."""
        message = _first(_MESSAGE, self.text).strip().rstrip(".")
        named = ": ".join(part for part in (self.code, message) if part)
        retries = _first(_RETRIES, self.line)
        answer = f"{self.status} ({named})" if self.status and named else self.status or named
        return f"{answer} after {retries} retries" if retries else answer

    @property
    def trouble(self) -> str:
        """What went wrong with the connection."""
        retries = _first(_RETRIES, self.line)
        again = f", {retries} retries included" if retries else ""
        told = next((words for sign, words in _CONNECTION.items() if sign in self.text), None)
        found = told or _first(_SYSTEM, self.text) or _first(re.compile(r"HTTP error: (.*)"), self.line) or self.line
        return f"{found}{again}"


def explain(error: Exception, doing: str, where: str) -> ZarrmillError:
    """Return the error of zarrmill's that says what the client's error means.

    ``doing`` is what failed, "reading" or another word of those that need a permission; ``where`` the URL with the key.
    """
    fault, kind = Fault.of(error), type(error).__name__
    failed = f"{doing} {where} failed"
    if kind == "AlreadyExistsError":
        return AlreadyExistsError(f"{where} is there already.")
    if names_bucket(error):
        return NotFoundError(f"{failed}: there is no such bucket. See to its name and the endpoint; none is made here.")
    refusal = _refusal(fault, doing, where)
    if refusal is not None:
        return StoreAccessError(f"{failed}: {refusal}")
    if fault.code in _REGION or "redirect" in fault.line:
        return InvalidInputError(
            f"{failed}: the bucket is in another region. Give its region (AWS_REGION, or the storage option region)."
        )
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"{failed}: it is missing.")
    if isinstance(error, NotImplementedError | ValueError) or kind in ("NotSupportedError", "InvalidPathError"):
        return InvalidInputError(f"{failed}: {fault.line}")
    return StoreUnavailableError(f"{failed}: {_unavailable(fault)}")


def is_unsure(error: BaseException | None) -> bool:
    """Tell whether a conditional write that failed so may have been done all the same."""
    if type(error).__name__ == "AlreadyExistsError":
        return True
    # No answer came, or one that says nothing of what was done: 5xx.
    return type(error).__name__ == "GenericError" and not re.match(r"[34]", Fault.of(error or Exception()).status)


def broke_off(error: BaseException | None) -> bool:
    """Tell whether no whole answer came, and the client did not ask again: it does so for values alone.

    It neither repeats a listing that stopped in its body, nor a removal in bulk whose answer was lost.
    """
    fault = Fault.of(error or Exception())
    return type(error).__name__ == "GenericError" and not fault.status and not _first(_RETRIES, fault.line)


def is_beyond_end(error: Exception) -> bool:
    """Tell whether a read failed because it starts where the value has ended already."""
    fault = Fault.of(error)
    return fault.status.startswith("416") or "StartTooLarge" in fault.text


def ignores_ranges(error: Exception) -> bool:
    """Tell whether a read failed because the whole value came where a part was asked for, or would come."""
    return any(sign in str(error) for sign in ("NotPartial", "RangeNotSupported"))


def names_bucket(error: Exception) -> bool:
    """Tell whether something is missing because its bucket is."""
    fault = Fault.of(error)
    return fault.code in _NO_BUCKET or "bucket does not exist" in fault.text


def _refusal(fault: Fault, doing: str, where: str) -> str | None:
    """Return why, when a store refused a request, and what to do about it."""
    if any(word in fault.line for word in _METADATA_SERVICE):
        return (
            "no credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or what Google and Azure use) "
            "or AWS_PROFILE; for public data give the storage option skip_signature=true."
        )
    if fault.code in _EXPIRED:
        return f"the credentials have expired ({fault.code}). Renew them, then run the same command again."
    if fault.code in _UNKNOWN or fault.status.startswith("401"):
        return f"the credentials are not accepted ({fault.answer}). See to the key, its secret, and the endpoint."
    if fault.code == "RequestTimeTooSkewed":
        return "the clock of this machine is wrong by more than 15 minutes. Set it."
    if fault.code in _DENIED or fault.status.startswith("403"):
        needed = f" The credentials need {_NEEDED[doing]}.{_MORE.get(doing, '')}" if where.startswith("s3") else ""
        return f"not allowed ({fault.answer}).{needed}"
    return None


def _unavailable(fault: Fault) -> str:
    if fault.status.startswith(("429", "503")) or fault.code == "SlowDown":
        return f"the store is busy: {fault.answer}. Run the same command again later, or with fewer threads."
    if fault.status:
        return f"the store answered {fault.answer}. Run the same command again."
    if "BadScheme" in fault.text:
        return "the endpoint is http, not https. Give the storage option allow_http=true."
    if "RetryError" in fault.text or "HTTP error" in fault.line:
        url = _first(_URL, fault.line) or "the store"
        return f"{fault.trouble} ({url}). See to the network and the endpoint, then run the same command again."
    return f"{fault.line.rstrip('.')}. Run the same command again."


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
