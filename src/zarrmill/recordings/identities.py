"""What sessions are called in everything that is written: ids as they are, or others in their place everywhere.

Ids of sessions are often the names of people. Where a run replaces them, no key, attribute, record, message or stored
text holds one: not in a path, not in the text of a raw event, not escaped as JSON or as a URL writes it.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.texts import escape

HASH_DIGITS = 16
"""Hexadecimal digits of a hashed id: 64 bits, so that two of a million sessions never share one."""
_FORBIDDEN = re.compile(r'[/\\"\x00-\x1f\x7f]')
"""What a new id must not hold: it becomes part of keys and of JSON texts."""
_HEADINGS = {"id", "session", "session_id", "old", "old_id", "from"}
"""First cells by which a line of headings is known."""


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Replaces the id of one session in text by what it is called outside.

    >>> Cleaner("Ada L", "p01")('{"path": "/data/ada%20l.h5", "who": "Ada L", "town": "Ada Lake"}')
    '{"path": "/data/p01.h5", "who": "p01", "town": "Ada Lake"}'
    """

    source_id: str = field(repr=False)
    """Id as the input has it."""
    session_id: str
    """What replaces it; the same where nothing is to be replaced."""

    @property
    def active(self) -> bool:
        """Whether there is anything to replace."""
        return self.source_id != self.session_id

    def __call__(self, text: str) -> str:
        """Return a text without the id."""
        return _pattern(self.source_id).sub(lambda _: self.session_id, text) if self.active else text

    def clean_json(self, value: Any) -> Any:
        """Return JSON values without the id, in names and in texts."""
        if not self.active:
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(name)): self.clean_json(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean_json(item) for item in value]
        return value


@dataclass(frozen=True, slots=True)
class Identities:
    """What the sessions of a run are called outside.

    >>> Identities(names={"Ada L": "p01"}).public_ids(["Ada L"])
    {'Ada L': 'p01'}
    >>> Identities().public_ids(["Ada L"])
    {'Ada L': 'Ada L'}
    """

    names: Mapping[str, str] | None = field(default=None, repr=False)
    """New id by id; None where ids are not given by a list."""
    hashed: bool = False
    """Whether ids become hashes."""
    key: str = field(default="", repr=False)
    """Secret of the hashes: without one, whoever guesses a name can check the guess."""

    @property
    def replaces(self) -> bool:
        """Whether ids are replaced."""
        return self.hashed or self.names is not None

    def public_ids(self, ids: Iterable[str]) -> dict[str, str]:
        """Return what each session is called outside.

        Raises InvalidInputError where the list lacks a session, calls two the same, or has an id that cannot be one.
        """
        found = list(ids)
        if self.names is not None:
            lacking = sum(1 for name in found if name not in self.names)
            if lacking:
                raise InvalidInputError(
                    f"the list of ids has no line for {lacking} of {len(found)} sessions. Add them, or hash the ids "
                    f"(--hash-ids)."
                )
        public = {name: self._public(name) for name in found}
        if len(set(public.values())) < len(public):
            raise InvalidInputError(
                f"{len(public)} sessions get {len(set(public.values()))} different ids. Give each session its own."
            )
        for name, new in public.items():
            _check_id(name, new)
        return public

    def _public(self, name: str) -> str:
        if self.names is not None:
            return self.names[name]
        return hash_id(name, key=self.key) if self.hashed else escape(name)


def cleaner_of(location: str, identities: Identities, *, suffix: str = ".h5") -> Cleaner:
    """Return what replaces the id of the session of one input in text."""
    name = location.rstrip("/").rpartition("/")[2].removesuffix(suffix)
    return Cleaner(name, identities.public_ids([name])[name])


def hash_id(session_id: str, *, key: str = "") -> str:
    """Return the hash by which a session is called: the same for the same id and key.

    >>> hash_id("Ada L") == hash_id("Ada L"), hash_id("Ada L") == hash_id("Ada L", key="secret"), len(hash_id("Ada L"))
    (True, False, 16)
    """
    name = unicodedata.normalize("NFC", session_id).encode("utf-8", "surrogatepass")
    return hmac.new(key.encode(), name, hashlib.sha256).hexdigest()[:HASH_DIGITS]


def read_id_map(path: str | Path) -> dict[str, str]:
    """Return new ids by id from a file: a JSON object, or lines of two columns (commas or tabs).

    Raises InvalidInputError; its message names lines and never an id.
    """
    text = Path(path).read_text(encoding="utf-8-sig")
    if Path(path).suffix.lower() == ".json":
        return _read_object(text, str(path))
    return _read_columns(text, str(path))


def _read_object(text: str, where: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{where} is no JSON. Write an object of new ids by id.") from error
    if not isinstance(found, dict) or not all(isinstance(new, str) for new in found.values()):
        raise InvalidInputError(f"{where} is no object of texts. Write an object of new ids by id.")
    return found


def _read_columns(text: str, where: str) -> dict[str, str]:
    lines = text.splitlines()
    rows = csv.reader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    names: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[0].lower() in _HEADINGS):
            continue
        if len(cells) != 2:
            raise InvalidInputError(f"{where}, line {number}: {len(cells)} columns. Write two: an id, and its new one.")
        if cells[0] in names:
            raise InvalidInputError(f"{where}, line {number}: a session for the second time. Give it one line.")
        names[cells[0]] = cells[1]
    return names


def _check_id(name: str, new: str) -> None:
    if not new or new in (".", "..") or (new != name and _FORBIDDEN.search(new)):
        raise InvalidInputError(f"{new!r} cannot be the id of a session. Use letters, digits, dashes and dots.")
    if new != name and _pattern(name).search(new):
        raise InvalidInputError("a new id holds the id that it stands for. Choose others.")


@lru_cache(maxsize=64)
def _pattern(name: str) -> re.Pattern[str]:
    """Return what finds an id in text, in whichever way it is written, and not within longer words.

    An id of digits alone would be found in every number: it counts only in quotes, in paths and before an underscore.
    """
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} | {name}
    written = {way(form) for form in forms for way in (str, _as_json, _as_url, _as_path, _as_query)}
    words = "|".join(re.escape(text) for text in sorted(written, key=lambda text: (-len(text), text)))
    if name.isdecimal():
        return re.compile(rf"""(?:(?<=["'/\\_=])|^)(?:{words})(?=["'/\\_.]|$)""")
    return re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.IGNORECASE)


def _as_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _as_url(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _as_path(text: str) -> str:
    return quote(text, errors="surrogatepass")


def _as_query(text: str) -> str:
    return quote_plus(text, errors="surrogatepass")
