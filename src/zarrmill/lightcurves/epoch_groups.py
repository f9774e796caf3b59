"""Epochs as they come in: ``by_epoch/KEY/``, each written whole, its ``zarr.json`` put last.

The arrays lie in a folder that is named by the digest of the content, ``by_epoch/KEY/DIGEST/flux``. So two writers of
one epoch never write the same key with different bytes, no claim is needed that a dead writer would leave behind, and
replacing an epoch is one put: of the ``zarr.json`` that names the folder.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.digest import Share
from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.epoch_values import EpochValues, content_digest
from zarrmill.lightcurves.options import whole_number
from zarrmill.lightcurves.parallel import codec_pool, gather, request_pool
from zarrmill.lightcurves.schema import Field, Schema, decode, encode, field_document, group_document
from zarrmill.lightcurves.stored_key import StoredKey

GROUP = "by_epoch"
ATTRIBUTE = "zarrmill_epoch"
INDEX_DIGITS = 6
"""Digits of the name of an epoch that is addressed by index."""
ADDRESSING = "epochs/key/addressing"
"""Key that says how epochs are addressed: by index or by key; the first epoch settles it.

It lies in the folder of an array, where readers of Zarr ask for chunks alone."""
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,199}")


@dataclass(frozen=True, slots=True)
class EpochGroup:
    """One epoch that came in, as its ``zarr.json`` describes it."""

    name: str
    """Name of its folder: the key, or the index in digits."""
    index: int | None
    """Index along the axis of epochs; None for an epoch that was added by key."""
    time: float
    """Modified Julian date; NaN where nobody told."""
    digest: str
    """Digest of its content, and the name of the folder of its arrays."""
    rows: int
    """Objects that there were when it came in."""
    shares: Mapping[str, str]
    """Digest share by array."""

    @property
    def folder(self) -> str:
        """Path of the group of its arrays."""
        return f"{GROUP}/{self.name}/{self.digest}"

    def to_json(self) -> dict[str, Any]:
        """Return the epoch as JSON values."""
        time = None if math.isnan(self.time) else self.time
        data = {"name": self.name, "index": self.index, "time": time, "digest": self.digest, "rows": self.rows}
        return data | {"shares": dict(self.shares)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpochGroup:
        """Return the epoch that ``to_json`` wrote."""
        time = float("nan") if data["time"] is None else float(data["time"])
        return cls(data["name"], data["index"], time, data["digest"], data["rows"], dict(data["shares"]))

    def share(self, name: str) -> Share:
        """Return the digest share of one array."""
        return Share.from_json(self.shares[name])


def epoch_name(epoch: Any, *, max_epochs: int | None) -> tuple[str, int | None]:
    """Return the name of an epoch and, for one that is addressed by index, that. Raises InvalidInputError.

    >>> epoch_name(12, max_epochs=500), epoch_name("2024-01-03", max_epochs=500)
    (('000012', 12), ('2024-01-03', None))
    """
    index = whole_number(epoch)
    if index is not None:
        if index < 0 or (max_epochs is not None and index >= max_epochs):
            most = "" if max_epochs is None else f" to {max_epochs - 1}"
            raise InvalidInputError(f"epoch {index} is out of range: epochs are numbered from 0{most} (max_epochs).")
        return f"{index:0{INDEX_DIGITS}d}", index
    if hasattr(epoch, "mjd"):
        epoch = repr(float(epoch.mjd))
    if not isinstance(epoch, str) or not _KEY.fullmatch(epoch):
        raise InvalidInputError(
            f"epoch {epoch!r} is neither an index nor a key. Give a whole number, or up to 200 letters, digits and "
            f"._:+- that begin with a letter or digit."
        )
    return epoch, None


def settle_addressing(keys: KeySpace, *, by_index: bool) -> bool:
    """Return whether epochs are addressed by index, which the first to ask settles for good."""
    word = b"index" if by_index else b"key"
    if not keys.create(ADDRESSING, word):
        return bytes(keys.get(ADDRESSING) or word) == b"index"
    return by_index


def addressing(keys: KeySpace) -> bool | None:
    """Return whether epochs are addressed by index, None while there is none."""
    word = keys.get(ADDRESSING)
    return None if word is None else bytes(word) == b"index"


def is_by_index(keys: KeySpace) -> bool:
    """Return whether epochs are addressed by index; True while there is none."""
    return addressing(keys) is not False


def load_epoch(keys: KeySpace, name: str) -> EpochGroup | None:
    """Return an epoch that is there whole, None for one that is not, or not yet."""
    key = f"{GROUP}/{name}/zarr.json"
    data = keys.get(key)
    if data is None:
        return None
    where = f"{keys.location}/{key}"
    try:
        return EpochGroup.from_json(decode(data, where=where)["attributes"][ATTRIBUTE])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceFormatError(f"{where}: malformed {ATTRIBUTE} ({error}). Restore it, or ingest it again.") from error


def describe_epoch(values: EpochValues, name: str, index: int | None) -> EpochGroup:
    """Return what an epoch will be known by."""
    shares = values.shares()
    digest = content_digest(values, shares)
    said = {field: share.to_json() for field, share in shares.items()}
    return EpochGroup(name, index, values.time, digest, values.rows, said)


def write_arrays(keys: KeySpace, schema: Schema, epoch: EpochGroup, values: EpochValues) -> None:
    """Write the arrays of an epoch, which nobody sees before ``commit_epoch`` or ``replace_epoch``."""
    puts: list[partial[str | None]] = []
    for field in schema.fields:
        layout = schema.epoch_layout(field, rows=epoch.rows)
        document = encode(field_document(field, layout))
        stored = StoredKey(layout, fill=field.fill_array)
        data = stored.encode(values.arrays[field.name], codec_pool(layout.nbytes))
        puts.append(partial(keys.put, array_key(epoch, field), data))
        puts.append(partial(keys.put, f"{epoch.folder}/{field.name}/zarr.json", document))
    puts.append(partial(keys.put, f"{epoch.folder}/zarr.json", encode(group_document(_describe(epoch)))))
    for _ in gather(request_pool(keys), puts):
        pass


def commit_epoch(keys: KeySpace, epoch: EpochGroup) -> bool:
    """Make an epoch whose arrays are there visible; return False when somebody else's is there already."""
    return keys.create(f"{GROUP}/{epoch.name}/zarr.json", _commit_document(epoch))


def replace_epoch(keys: KeySpace, epoch: EpochGroup) -> None:
    """Make an epoch whose arrays are there visible in place of what is there."""
    keys.put(f"{GROUP}/{epoch.name}/zarr.json", _commit_document(epoch))


def _commit_document(epoch: EpochGroup) -> bytes:
    # The token tells this writer's document from that of another with the same content.
    return encode(group_document({**_describe(epoch), ATTRIBUTE: epoch.to_json(), "token": secrets.token_hex(8)}))


def _describe(epoch: EpochGroup) -> dict[str, Any]:
    time = {} if math.isnan(epoch.time) else {"mjd": epoch.time}
    return {"long_name": f"epoch {epoch.name}", **time}


def array_key(epoch: EpochGroup, field: Field) -> str:
    """Return the one key that holds the values of an array of an epoch."""
    return f"{epoch.folder}/{field.name}/c.0" + ".0" * field.per_measurement


def read_array(keys: KeySpace, schema: Schema, epoch: EpochGroup, field: Field) -> NDArray[Any]:
    """Return a whole array of an epoch. Raises SourceFormatError when it is lost or damaged."""
    key = array_key(epoch, field)
    data = keys.get(key)
    if data is None:
        raise SourceFormatError(f"{keys.location}/{key} is lost. Ingest the epoch again with replace=True.")
    stored = StoredKey(schema.epoch_layout(field, rows=epoch.rows), fill=field.fill_array)
    try:
        return stored.decode(data, epoch.rows)
    except SourceFormatError as error:
        raise SourceFormatError(f"{keys.location}/{key}: {error}. Ingest the epoch again with replace=True.") from error


def list_epochs(keys: KeySpace) -> set[str]:
    """Return the names of all epochs that somebody has begun to write."""
    return set(keys.list_dir(GROUP)[0])


def missing_value(field: Field) -> NDArray[Any]:
    """Return the value of an object at an epoch that came in before it was known."""
    return np.array(field.fill, dtype=field.type)
