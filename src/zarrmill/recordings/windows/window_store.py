"""The store of windows: names, dimensions, chunks and attributes of every array, and the small arrays' keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.chain import CodecChain
from zarrmill.documents import encode_documents
from zarrmill.grid import Shape
from zarrmill.keyspace import KeySpace
from zarrmill.layout import ArrayLayout
from zarrmill.metadata import codecs_from_request
from zarrmill.recordings.windows.channels import ChannelTable
from zarrmill.recordings.windows.reasons import flag_attributes
from zarrmill.recordings.windows.window_plan import WindowPlan

Json = dict[str, Any]
TIME_UNITS = "milliseconds since 1970-01-01T00:00:00Z"
"""Units of times, in which raw readers see epoch milliseconds and xarray dates."""
SMALL_CODEC = "zstd:3"
"""Codec of what is no signal."""
STORAGE_FORMAT = "zarr3"
CHANNELS = "channels"
"""Group of the channel tables: readers slice every array of the root that is as long as the windows."""
Scheme = Literal[".", "/"]
"""How chunks are named: one folder per chunk, which "/" would make on a disk, costs more than the chunk."""
EEG_DIMS, FNIRS_DIMS = ("time", "eeg_channel", "eeg_sample"), ("time", "fnirs_channel")


@dataclass(frozen=True, slots=True, eq=False)
class SmallArray:
    """An array that is one key."""

    path: str
    """Path in the store."""
    values: NDArray[Any]
    """Its values."""
    dims: tuple[str, ...]
    """Names of its dimensions."""
    attributes: Json
    """Its attributes."""
    fill: Any = 0
    """Value of what is missing."""

    @property
    def layout(self) -> ArrayLayout:
        """How it lies: one chunk, so that it costs one request."""
        return make_layout(self.values.shape, self.values.dtype, chunks=self.values.shape, codec=SMALL_CODEC)

    def document(self) -> Json:
        """Return its metadata."""
        return array_document(self.layout, dims=self.dims, attributes=self.attributes, fill=self.fill)

    def write(self, keys: KeySpace, scheme: Scheme) -> None:
        """Put its only chunk, if it has any values."""
        layout = self.layout
        if self.values.size:
            chain = CodecChain(layout.codecs, dtype=self.values.dtype, chunk=layout.chunks)
            keys.put(f"{self.path}/{chunk_key((0,) * self.values.ndim, scheme)}", chain.encode(self.values))


def make_layout(shape: Shape, dtype: np.dtype[Any], *, chunks: Shape, codec: str) -> ArrayLayout:
    """Return the layout of an array with a codec by its name."""
    chunks = tuple(max(1, n) for n in chunks)
    plain = ArrayLayout(shape=shape, dtype=dtype.name, itemsize=dtype.itemsize, chunks=chunks)
    found = codecs_from_request(codec, plain) or []
    return ArrayLayout(plain.shape, plain.dtype, plain.itemsize, chunks, codecs=tuple(map(_compact, found)))


def _compact(codec: Json) -> str:
    return json.dumps(codec, sort_keys=True, separators=(",", ":"))


def chunk_key(coord: Shape, scheme: Scheme = ".") -> str:
    """Return the name of a chunk below its array.

    >>> chunk_key((3, 0)), chunk_key((3, 0), "/")
    ('c.3.0', 'c/3/0')
    """
    return scheme.join(["c", *map(str, coord)])


def array_document(layout: ArrayLayout, *, dims: tuple[str, ...], attributes: Mapping[str, Any], fill: Any) -> Json:
    """Return the ``zarr.json`` of an array."""
    return {
        "shape": list(layout.shape),
        "data_type": layout.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(layout.chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill,
        "codecs": [json.loads(codec) for codec in layout.codecs],
        "attributes": dict(attributes),
        "dimension_names": list(dims),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def group_document(attributes: Mapping[str, Any]) -> Json:
    """Return the ``zarr.json`` of a group."""
    return {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"}


def eeg_layout(plan: WindowPlan, *, channels: int, samples: int, chunk: int, codec: str) -> ArrayLayout:
    """Return how EEG lies: (windows, channels, samples of a window), whole windows in a chunk."""
    shape = (plan.count, channels, plan.frames_per_window * samples)
    return make_layout(shape, np.dtype(np.float32), chunks=(min(chunk, plan.count), *shape[1:]), codec=codec)


def fnirs_layout(plan: WindowPlan, *, channels: int, chunk: int, codec: str) -> ArrayLayout:
    """Return how fNIRS lies: (windows, channels), whole windows in a chunk."""
    shape = (plan.count, channels)
    return make_layout(shape, np.dtype(np.float32), chunks=(min(chunk, plan.count), channels), codec=codec)


def signal_document(layout: ArrayLayout, *, dims: tuple[str, ...], about: str, scale: str) -> Json:
    """Return the ``zarr.json`` of a signal, NaN where there is none."""
    return array_document(layout, dims=dims, attributes={"long_name": about, "scale": scale}, fill="NaN")


def window_arrays(plan: WindowPlan) -> Iterator[SmallArray]:
    """Yield the arrays with one value per window."""
    times = {"units": TIME_UNITS, "calendar": "proleptic_gregorian"}
    yield _per_window("time", plan.times, {**times, "standard_name": "time", "long_name": "begin of the window"}, "NaN")
    for name, found in (("eeg", plan.eeg), ("fnirs", plan.fnirs)):
        yield _per_window(f"{name}_valid", found.reasons == 0, {"long_name": f"whether its {name} is valid"}, False)
        about = f"why its {name} is not valid"
        yield _per_window(f"{name}_reason", found.reasons, {"long_name": about, **flag_attributes()}, 0)
        about = f"time of its (first) {name} frame as the device gave it"
        yield _per_window(f"real_{name}_ts", found.real_times, {**times, "long_name": about}, "NaN")
    numbers = np.arange(plan.count, dtype=np.int32)
    yield _per_window(
        "original_array_idx", numbers + np.int32(plan.first), {"long_name": "index on the clock grid"}, -1
    )
    yield _per_window("dataset_idx", numbers, {"long_name": "index among the windows kept"}, -1)


def _per_window(name: str, values: NDArray[Any], attributes: Json, fill: Any) -> SmallArray:
    return SmallArray(name, values, ("time",), attributes, fill)


def fnirs_channel_arrays(
    table: ChannelTable, *, distance: NDArray[np.float64], valid: NDArray[np.bool_], complete: NDArray[np.bool_]
) -> Iterator[SmallArray]:
    """Yield the tables of the fNIRS channels that are kept."""
    about = {
        "index": "number of the channel in the file",
        "wavelength": "0 red, 1 infrared",
        "moment": "moment of the time of flight, 0 to 2",
        "source_module": "module of the source, 1 to 48",
        "source": "source, 1 to 3",
        "detector_module": "module of the detector, 1 to 48",
        "detector": "detector, 1 to 6",
    }
    for name, text in about.items():
        path = "global_index" if name == "index" else name
        yield _per_channel("fnirs", path, getattr(table, name), {"long_name": text})
    yield _per_channel("fnirs", "distance", distance, {"long_name": "source to detector", "units": "mm"}, "NaN")
    yield _per_channel("fnirs", "valid", valid, {"long_name": "whether any frame of a window has a value"})
    yield _per_channel("fnirs", "complete", complete, {"long_name": "whether every frame of a window has a value"})


def eeg_channel_arrays(channels: NDArray[np.int64], valid: NDArray[np.bool_]) -> Iterator[SmallArray]:
    """Yield the tables of the EEG channels that are kept."""
    yield _per_channel(
        "eeg", "eeg_number", (channels + 1).astype(np.int32), {"long_name": "channel in the file, from 1"}
    )
    yield _per_channel("eeg", "eeg_channel_valid", valid, {"long_name": "whether any window has a value"})


def _per_channel(device: str, name: str, values: NDArray[Any], attributes: Json, fill: Any = None) -> SmallArray:
    missing = fill if fill is not None else (False if values.dtype == np.bool_ else 0)
    return SmallArray(f"{CHANNELS}/{name}", values, (f"{device}_channel",), attributes, missing)


def all_documents(documents: Mapping[str, Json], attributes: Mapping[str, Any], *, scheme: Scheme) -> dict[str, bytes]:
    """Return the metadata of every node by path, those of the root with a copy of all."""
    encoding = {"name": "default", "configuration": {"separator": scheme}}
    named = {path: {**document, "chunk_key_encoding": encoding} for path, document in documents.items()}
    made = {"": group_document(attributes), CHANNELS: group_document({"long_name": "what the channels are"}), **named}
    return encode_documents(made)
