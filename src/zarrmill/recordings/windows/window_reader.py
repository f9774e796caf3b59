"""Reading a store of windows as xarray: lazily, with the tables of channels as coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.recordings.optional import load
from zarrmill.recordings.windows.contents import TRANSFORM
from zarrmill.recordings.windows.reasons import Reason
from zarrmill.recordings.windows.window_store import CHANNELS
from zarrmill.store import Location, OpenedStore, open_store

if TYPE_CHECKING:
    import xarray

Times = Literal["datetime", "milliseconds"]
Device = Literal["eeg", "fnirs"]
DEVICES: tuple[Device, ...] = ("eeg", "fnirs")


def open_windows(
    location: Location,
    *,
    times: Times = "datetime",
    trim: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> xarray.Dataset:
    """Return the windows of a store as a Dataset whose signals are read when they are asked for.

    The tables of channels are coordinates of ``eeg_channel`` and ``fnirs_channel``. ``times`` are dates in UTC, or
    "milliseconds" as they are stored. ``trim`` leaves those windows alone that every device covers. Raises
    NotFoundError where there is nothing, SourceFormatError for what is no store of windows.

    >>> windows = open_windows("processed/windows/s-01_windowed.zarr")  # doctest: +SKIP
    >>> windows.eeg[windows.eeg_valid.values][:10].load()  # doctest: +SKIP
    """
    if times not in ("datetime", "milliseconds"):
        raise InvalidInputError(f"times={times!r} is unknown. Give 'datetime' or 'milliseconds'.")
    opened = open_store(location, storage_options=storage_options)
    dataset = _open_group(opened, "", decode=times == "datetime")
    if dataset.attrs.get("transform") != TRANSFORM:
        raise SourceFormatError(f"{opened.location} is no store of windows. Make one with zarrmill recordings windows.")
    channels = _open_group(opened, CHANNELS, decode=False).load()
    dataset = dataset.assign_coords({name: channels[name].variable for name in channels.data_vars})
    return trimmed(dataset) if trim else dataset


def _open_group(opened: OpenedStore, group: str, *, decode: bool) -> Any:
    xr = load("xarray")
    try:
        return xr.open_zarr(
            opened.for_arrays, group=group or None, chunks=None, consolidated=not group, decode_times=decode
        )
    except FileNotFoundError:
        # In a bucket the chunks of a store that is being written are there before it is.
        raise NotFoundError(
            f"there is no Zarr store at {opened.location}. If a run of zarrmill recordings windows was stopped there, "
            f"the same command completes it."
        ) from None
    except (KeyError, ValueError, TypeError) as error:
        raise SourceFormatError(f"{opened.location} is no Zarr store of windows that can be read ({error}).") from error


def trimmed(windows: xarray.Dataset) -> xarray.Dataset:
    """Return the windows that every device covers: a view by ``slice_start`` and ``slice_end``."""
    return windows.isel(time=slice(windows.attrs["slice_start"], windows.attrs["slice_end"]))


def find_valid(windows: xarray.Dataset, devices: tuple[Device, ...] = DEVICES) -> NDArray[np.bool_]:
    """Return which windows are valid for all of some devices."""
    found = np.ones(windows.sizes["time"], dtype=bool)
    for device in devices:
        if device not in DEVICES:
            raise InvalidInputError(f"device {device!r} is not known. Use {' or '.join(DEVICES)}.")
        found &= windows[f"{device}_valid"].values.astype(bool)
    return found


def reason_texts(windows: xarray.Dataset, device: Device) -> NDArray[Any]:
    """Return why each window is not valid, in words."""
    words = np.array([reason.text for reason in Reason], dtype=object)
    return np.asarray(words[windows[f"{device}_reason"].values])


def times_ms(windows: xarray.Dataset) -> NDArray[np.float64]:
    """Return when windows begin, in epoch milliseconds, however they were opened."""
    times = windows["time"].values
    if times.dtype.kind != "M":
        return np.asarray(times, dtype=np.float64)
    return np.asarray(times.astype("datetime64[ns]").astype(np.int64) / 1e6, dtype=np.float64)
