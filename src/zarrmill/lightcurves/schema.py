"""What never changes about a store: its fields, measurements and sizes, in the attributes of its root."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import NotFoundError, SourceFormatError
from zarrmill.grid import Shape, round_up
from zarrmill.layout import ArrayLayout
from zarrmill.lightcurves.light_curve import ERROR, FLAG, FLUX, LIMIT, Status
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.sizing import Sizes
from zarrmill.metadata import codecs_from_request

FORMAT = 1
"""Version of the format; a reader refuses a later one."""
ATTRIBUTE = "zarrmill_lightcurves"
"""Attribute of the root that holds the schema."""
TIME_UNITS = "days since 1858-11-17"
"""Units of modified Julian dates in the words of CF, so that xarray shows dates."""
STATUS, OFFSET = "status", "time_offset"
"""The array of statuses, and that of seconds per object and epoch."""
STATUS_CODEC = "zstd:3"
"""Codec of statuses: they compress to a few bytes with any, and this one is read fastest."""
KEY_KINDS = ("range", "int", "text")
"""What objects are called by: their index, whole numbers, or text."""


@dataclass(frozen=True, slots=True)
class Field:
    """One array of the store: the same values in both layouts."""

    name: str
    """Name of the array."""
    dtype: str
    """Name of its type: float32, uint8 …"""
    fill: float | int
    """Value where nothing is stored."""
    units: str
    """Units in the words of CF; "1" without any."""
    per_measurement: bool
    """Whether there is a value per measurement, or one per object and epoch."""
    attributes: Mapping[str, Any]
    """What else describes it."""

    @property
    def type(self) -> np.dtype[Any]:
        """Type of the values in memory."""
        return np.dtype(self.dtype)

    @property
    def fill_array(self) -> NDArray[Any]:
        """Fill value as an array of no axes."""
        return np.array(self.fill, dtype=self.type)


@dataclass(frozen=True, slots=True)
class Schema:
    """What is settled when a store is created."""

    fields: tuple[Field, ...]
    """The arrays, that of the values first."""
    measurements: tuple[Measurement, ...]
    """The axis of measurements."""
    key_kind: str
    """One of KEY_KINDS."""
    time_scale: str
    """Scale of the times of epochs."""
    sizes: Sizes
    """Sizes of chunks and shards."""
    max_epochs: int | None
    """Number of epochs that an index can address; None for any."""
    codecs: tuple[str, ...]
    """Codecs of the object layout by name."""
    epoch_codecs: tuple[str, ...]
    """Codecs of epochs by name."""

    @property
    def n_measurements(self) -> int:
        """Number of measurements."""
        return len(self.measurements)

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> Field:
        """Return a field by name; raises UnknownNameError with the nearest."""
        for field in self.fields:
            if field.name == name:
                return field
        raise unknown_name(name, self.field_names, what="array", where="light curves")

    def cube_layout(self, field: Field, *, n_objects: int, n_epochs: int) -> ArrayLayout:
        """Return how an array lies in the object layout: a chunk is one object times one block of epochs."""
        m = (self.n_measurements,) if field.per_measurement else ()
        block, shard = self.sizes.epoch_block, self.sizes.shard_objects
        dims = ("object", "measurement", "epoch") if m else ("object", "epoch")
        return _layout(field, (n_objects, *m, n_epochs), (1, *m, block), (shard, *m, block), dims, self.codecs)

    def epoch_layout(self, field: Field, *, rows: int) -> ArrayLayout:
        """Return how an array lies in one epoch: one key, of several chunks where there are many objects."""
        m = (self.n_measurements,) if field.per_measurement else ()
        chunk = min(self.sizes.epoch_chunk, max(1, rows))
        shards = (round_up(rows, chunk), *m) if rows > chunk else None
        dims = ("object", "measurement")[: 1 + len(m)]
        return _layout(field, (rows, *m), (chunk, *m), shards, dims, self.epoch_codecs)

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON values."""
        data: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        for field in data["fields"]:
            field["fill"] = _fill_to_json(field["fill"])
        made: dict[str, Any] = json.loads(json.dumps(data))
        return made

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Return the schema that ``to_json`` wrote. Raises SourceFormatError for what is none, or of a later format."""
        if data.get("format") != FORMAT:
            raise SourceFormatError(
                f"light curves of format {data.get('format')!r}, this version reads {FORMAT}. Upgrade zarrmill."
            )
        given = {name: data[name] for name in cls.__dataclass_fields__}
        given["fields"] = tuple(
            Field(**{**f, "fill": float(f["fill"]) if f["fill"] == "NaN" else f["fill"]}) for f in data["fields"]
        )
        given["measurements"] = tuple(Measurement(**m) for m in data["measurements"])
        given["sizes"] = Sizes(**data["sizes"])
        return cls(**{**given, "codecs": tuple(data["codecs"]), "epoch_codecs": tuple(data["epoch_codecs"])})


def make_fields(options: CreateOptions, measurements: tuple[Measurement, ...]) -> tuple[Field, ...]:
    """Return the arrays of a store with these options."""
    said, units = _describe_values(measurements)
    dtype, nan = np.dtype(options.dtype).name, float("nan")
    fields = [
        Field(FLUX, dtype, nan, units, True, {**said, "ancillary_variables": f"{ERROR} {STATUS}"}),
        Field(ERROR, dtype, nan, units, True, {**said, "long_name": f"standard deviation of the {said['long_name']}"}),
        Field(STATUS, "uint8", Status.NOT_INGESTED.value, "1", True, _status_attributes()),
    ]
    if options.flags is not False:
        flags = _flag_attributes(options.flag_masks)
        fields.append(Field(FLAG, np.dtype(options.flag_dtype).name, 0, "1", True, flags))
    if options.limits:
        limit = {**said, "long_name": f"limit of the {said['long_name']} of what was not detected"}
        fields.append(Field(LIMIT, dtype, nan, units, True, limit))
    if options.time_offsets:
        offset = {"long_name": "time at the object after the time of the epoch"}
        fields.append(Field(OFFSET, "float64", nan, "s", False, offset))
    return tuple(fields)


def _describe_values(measurements: tuple[Measurement, ...]) -> tuple[dict[str, Any], str]:
    """Return what describes arrays of values, and their units; units that differ stand beside the measurements."""
    kinds, units = {m.kind for m in measurements}, [m.unit for m in measurements]
    said: dict[str, Any] = {"long_name": " or ".join(sorted(kinds))}
    if len(set(units)) > 1:
        said["units_by_measurement"] = units
    return said, (units[0] or "1") if len(set(units)) == 1 else "1"


def _status_attributes() -> dict[str, Any]:
    meanings = " ".join(status.name.lower() for status in Status)
    values = list(map(int, Status))
    return {"long_name": "why there is a value or none", "flag_values": values, "flag_meanings": meanings}


def _flag_attributes(masks: Mapping[str, int]) -> dict[str, Any]:
    said: dict[str, Any] = {"long_name": "quality flags"}
    if masks:
        said |= {"flag_masks": list(masks.values()), "flag_meanings": " ".join(masks)}
    return said


def flag_masks_of(field: Field) -> dict[str, int]:
    """Return the bit by meaning that the attributes of a ``flag`` array tell."""
    words = field.attributes.get("flag_meanings", "").split()
    return dict(zip(words, field.attributes.get("flag_masks", ()), strict=True))


def _layout(
    field: Field, shape: Shape, chunks: Shape, shards: Shape | None, dims: tuple[str, ...], codecs: tuple[str, ...]
) -> ArrayLayout:
    bare = ArrayLayout(shape, field.dtype, field.type.itemsize, chunks, shards, dims)
    documents = codecs_from_request(STATUS_CODEC if field.name == STATUS else codecs, bare) or []
    if documents[-1]["name"] != "crc32c":
        documents.append({"name": "crc32c"})
    packed = tuple(json.dumps(codec, sort_keys=True, separators=(",", ":")) for codec in documents)
    return ArrayLayout(shape, field.dtype, field.type.itemsize, chunks, shards, dims, packed)


def array_document(layout: ArrayLayout, *, fill: float | int | str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``zarr.json`` of an array of a layout."""
    inner: list[dict[str, Any]] = [json.loads(codec) for codec in layout.codecs]
    if layout.shards is not None:
        index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        config = {"chunk_shape": list(layout.chunks), "codecs": inner, "index_codecs": index, "index_location": "end"}
        inner = [{"name": "sharding_indexed", "configuration": config}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(layout.shape),
        "data_type": layout.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(layout.write_chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": _fill_to_json(fill),
        "codecs": inner,
        "attributes": dict(attributes),
        "dimension_names": list(layout.dims or ()),
        "storage_transformers": [],
    }


def field_document(field: Field, layout: ArrayLayout) -> dict[str, Any]:
    """Return the ``zarr.json`` of the array of a field."""
    return array_document(layout, fill=field.fill, attributes={"units": field.units, **field.attributes})


def group_document(attributes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the ``zarr.json`` of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})}


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a ``zarr.json``."""
    return json.dumps(document, indent=1).encode()


def decode(data: bytes | bytearray | memoryview, *, where: str) -> dict[str, Any]:
    """Return the document in the bytes of a ``zarr.json``. Raises SourceFormatError."""
    try:
        document = json.loads(bytes(data))
    except ValueError as error:
        raise SourceFormatError(f"{where}: no JSON ({error}). Restore it from a copy.") from error
    if not isinstance(document, dict):
        raise SourceFormatError(f"{where}: no JSON object. Restore it from a copy.")
    return document


def read_schema(data: bytes | bytearray | memoryview | None, *, where: str) -> Schema:
    """Return the schema in the bytes of a root's ``zarr.json``. Raises NotFoundError, SourceFormatError."""
    if data is None:
        raise NotFoundError(
            f"there are no light curves at {where}. Make a store with "
            f"LightcurveStorage.create (zarrmill lightcurves create)."
        )
    attributes = decode(data, where=f"{where}/zarr.json").get("attributes", {})
    if ATTRIBUTE not in attributes:
        raise SourceFormatError(f"{where} is no store of light curves. It was not made by LightcurveStorage.create.")
    try:
        return Schema.from_json(attributes[ATTRIBUTE])
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceFormatError(f"{where}/zarr.json: malformed {ATTRIBUTE} ({error}). Restore it.") from error


def _fill_to_json(fill: float | int | str) -> float | int | str:
    return "NaN" if isinstance(fill, float) and fill != fill else fill
