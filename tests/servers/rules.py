"""Which requests meet which fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, get_args

from tests.servers.traffic import Request

Fault = Literal[
    "slow_down",
    "internal_error",
    "bad_gateway",
    "unavailable",
    "access_denied",
    "expired_token",
    "no_such_key",
    "no_such_bucket",
    "precondition_failed",
    "conflict",
    "reset",
    "reset_request",
    "reset_answer",
    "truncate_answer",
    "stall_answer",
    "corrupt_request",
    "corrupt_answer",
    "lose_answer",
    "deny_answer",
    "hang",
    "hold",
    "delay",
]
"""Names of the faults; faults.py says what each does."""
Kind = Literal["GET", "RANGE", "LIST", "HEAD", "PUT", "POST", "DELETE"]
READS: tuple[Kind, ...] = ("GET", "RANGE")
"""The kinds that read a value: whole, and some bytes of it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A fault, the requests that may meet it, and which of those do."""

    fault: Fault
    """What happens."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of requests; none means all."""
    key: str = ""
    """Part of the key."""
    pattern: str = ""
    """Regular expression that is found in the key."""
    conditional: bool | None = None
    """Only requests with, or without, If-Match or If-None-Match."""
    skip: int = 0
    """Matching requests that pass first: 2 for the third one."""
    times: int | None = 1
    """Matching requests after those that meet the fault; None is all."""
    at: int | None = None
    """Byte of the body where it is flipped or cut; None is the middle, a negative one counts from the end."""
    seconds: float = 0.0
    """How long `delay` takes."""

    def __post_init__(self) -> None:
        known = get_args(Fault)
        if self.fault not in known:
            raise ValueError(f"fault {self.fault!r} is none of {', '.join(known)}")
        if unknown := set(self.kinds) - set(get_args(Kind)):
            raise ValueError(f"kinds {sorted(unknown)} are none of {', '.join(get_args(Kind))}")
        re.compile(self.pattern)

    def applies(self, request: Request) -> bool:
        """Whether a request is one of those that the rule is about."""
        return (
            (not self.kinds or request.kind in self.kinds)
            and self.key in request.key
            and (self.conditional is None or self.conditional == request.conditional)
            and (not self.pattern or re.search(self.pattern, request.key) is not None)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the rule as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the rule that plain data says."""
        if unknown := set(data) - {item.name for item in fields(cls)}:
            raise ValueError(f"a rule has no {', '.join(sorted(unknown))}")
        return cls(**data | {"kinds": tuple(data.get("kinds", ()))})


@dataclass
class Entry:
    """A rule in force, and how often it was met."""

    rule: Rule
    seen: int = 0
    """Requests that it is about."""
    hits: int = 0
    """Requests that met the fault."""

    def strikes(self, request: Request) -> bool:
        """Count a request, and say whether it meets the fault."""
        if not self.rule.applies(request):
            return False
        self.seen += 1
        last = float("inf") if self.rule.times is None else self.rule.skip + self.rule.times
        return self.rule.skip < self.seen <= last


@dataclass
class RuleBook:
    """The rules in force, in the order in which they were made."""

    entries: list[Entry] = field(default_factory=list)

    def find(self, request: Request) -> Rule | None:
        """Return the first rule that strikes; every rule counts every request that it is about."""
        struck = [entry for entry in self.entries if entry.strikes(request)]
        if not struck:
            return None
        struck[0].hits += 1
        return struck[0].rule

    def describe(self) -> Iterator[dict[str, Any]]:
        """Yield each rule with its counts as plain data."""
        for entry in self.entries:
            yield {"rule": entry.rule.to_json(), "seen": entry.seen, "hits": entry.hits}
