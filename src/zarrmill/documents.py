"""The bytes of ``zarr.json`` as zarr-python writes them, with a copy of all documents in that of the root.

The standard library writes flat JSON in C, and indented JSON in Python, which takes far longer. The documents of a
store are much alike: a part of one (codecs, grid, attributes) is indented once and remembered, and the root's text is
put together from those of its members.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Mapping
from typing import Any

import zarr

Json = dict[str, Any]
Indent = int | str | None
"""What the standard library takes: a number of blanks, a text, or None for one line."""

_MEMBERS = "consolidated_metadata"
_REMEMBERED_PARTS, _REMEMBERED_CHARACTERS = 512, 2000
"""What is remembered takes a few megabytes at the most: of 100 arrays of one kind there are about 130 parts."""


def consolidated_document(documents: Mapping[str, Json]) -> Json:
    """Return the ``zarr.json`` of the root with a copy of all documents, as zarr-python writes it.

    ``documents`` holds the document of each node by its path, the root's under "". A root that is an array has
    nothing below it and comes back as it is.
    """
    root = documents[""]
    if root["node_type"] == "array":
        return root
    paths = sorted((path for path in documents if path), key=_consolidated_order)
    return _with_consolidated(root, {path: _with_consolidated(documents[path], {}) for path in paths})


def encode_document(document: Json) -> bytes:
    """Return the bytes of a ``zarr.json``, as zarr-python writes them: indented, NaN allowed in attributes."""
    return _text(document, _indent()).encode()


def encode_documents(documents: Mapping[str, Json], *, consolidated: bool = True) -> dict[str, bytes]:
    """Return the bytes of every ``zarr.json`` by path; that of a consolidated root has a copy of all documents.

    ``documents`` holds the document of each node by its path, the root's under "".
    """
    indent = _indent()
    texts = {path: _text(document, indent) for path, document in documents.items()}
    root = consolidated_document(documents) if consolidated else documents[""]
    if root is not documents[""]:
        listed = root[_MEMBERS]["metadata"]
        # Groups have one key more there than in files of their own.
        members = {
            p: texts[p] if document is documents[p] else _text(document, indent) for p, document in listed.items()
        }
        copies = _text(root[_MEMBERS], indent, metadata=_object(members, indent))
        texts[""] = _text(root, indent, **{_MEMBERS: copies})
    return {path: text.encode() for path, text in texts.items()}


def _consolidated_order(path: str) -> tuple[int, str]:
    return path.count("/"), unicodedata.normalize("NFKC", path).casefold()


def _with_consolidated(document: Json, metadata: Json) -> Json:
    if document["node_type"] == "array":
        return document
    inline = {"kind": "inline", "must_understand": False, "metadata": metadata}
    first = {"attributes": document["attributes"], "zarr_format": 3, _MEMBERS: inline}
    return {**first, "node_type": "group", **{key: document[key] for key in document if key not in first}}


def _indent() -> Indent:
    found: Indent = zarr.config.get("json_indent")
    return found


def _text(document: Json, indent: Indent, **made: str) -> str:
    """Return the text of a document, of which the values of some names are texts already."""
    return _object(
        {name: made[name] if name in made else _part(value, indent) for name, value in document.items()}, indent
    )


def _object(texts: Mapping[str, str], indent: Indent) -> str:
    """Return the text of an object from those of its values."""
    if indent is None or not texts:
        return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"
    # No line ends within a text of JSON: there it is written as an escape.
    line = "\n" + (indent if isinstance(indent, str) else " " * indent)
    items = [f"{line}{_quoted(name)}: " + text.replace("\n", line) for name, text in texts.items()]
    return "{" + ",".join(items) + "\n}"


_quoted = functools.lru_cache(maxsize=_REMEMBERED_PARTS)(json.dumps)
"""The text of a text: the documents of a store have the same ones."""


def _part(value: Any, indent: Indent) -> str:
    if isinstance(value, str) and len(value) <= _REMEMBERED_CHARACTERS:
        return _quoted(value)
    flat = json.dumps(value)
    if indent is None or flat[0] not in "[{":
        return flat
    return _indented(flat, indent) if len(flat) <= _REMEMBERED_CHARACTERS else json.dumps(value, indent=indent)


@functools.lru_cache(maxsize=_REMEMBERED_PARTS)
def _indented(flat: str, indent: int | str) -> str:
    return json.dumps(json.loads(flat), indent=indent)
