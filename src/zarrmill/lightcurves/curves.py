"""From arrays that were read to the light curves that people get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.lightcurves.catalogue import DEC, KEY, RA
from zarrmill.lightcurves.curve_reader import Arrays
from zarrmill.lightcurves.light_curve import FLAG, FLUX, LightCurve
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.options import ObjectKey
from zarrmill.lightcurves.schema import OFFSET, STATUS, Field, flag_masks_of
from zarrmill.lightcurves.snapshot import Snapshot
from zarrmill.lightcurves.view import View

DAY = 86_400.0
"""Seconds."""


def build_curve(view: View, key: ObjectKey, arrays: Sequence[str] | None) -> LightCurve:
    """Return the light curve of one object."""
    position = view.index().find(key)
    snapshot, found = view.read(position, _fields(view, arrays))
    status, offset = found.pop(STATUS), found.pop(OFFSET, None)
    ra, dec = view.place_of(position)
    return LightCurve(
        key=key.item() if isinstance(key, np.generic) else key,
        time=snapshot.time if offset is None else _shifted(snapshot.time, offset),
        measurements=view.schema.measurements,
        arrays=found,
        status=status,
        epoch=_epochs(snapshot),
        scale=view.schema.time_scale,
        offset=offset,
        ra=ra,
        dec=dec,
        flag_masks=_flag_masks(view) if FLAG in found else {},
    )


def build_curves(view: View, keys: Any, arrays: Sequence[str] | None) -> LightCurves:
    """Return the light curves of many objects, in the order asked for."""
    asked = np.asarray(keys).reshape(-1)
    positions = view.index().find_all(asked)
    snapshot, found = view.read_some(positions, _fields(view, arrays))
    return _bundle(view, asked, positions, snapshot, found)


def build_range(view: View, start: int, stop: int, arrays: Sequence[str] | None) -> LightCurves:
    """Return the light curves of objects that follow each other in the store."""
    snapshot, found = view.read_range(start, stop, _fields(view, arrays))
    return _bundle(view, view.objects()[KEY][start:stop], np.arange(start, stop), snapshot, found)


def _bundle(
    view: View, keys: NDArray[Any], positions: NDArray[np.int64], snapshot: Snapshot, found: Arrays
) -> LightCurves:
    status, offset = found.pop(STATUS), found.pop(OFFSET, None)
    objects = view.objects()
    return LightCurves(
        keys=keys,
        time=snapshot.time,
        measurements=view.schema.measurements,
        arrays=found,
        status=status,
        epoch=_epochs(snapshot),
        scale=view.schema.time_scale,
        offset=offset,
        flag_masks=_flag_masks(view) if FLAG in found else {},
        columns={name: objects[name][positions] for name in (RA, DEC) if name in objects},
    )


def _fields(view: View, names: Sequence[str] | None) -> tuple[Field, ...]:
    """Return the fields of a light curve: its status always, because a value alone cannot say why it is missing."""
    if names is None:
        return view.schema.fields
    wanted = [names] if isinstance(names, str) else list(names)
    fields = [view.schema.field(name) for name in dict.fromkeys([FLUX, *wanted, STATUS])]
    return tuple(fields)


def _epochs(snapshot: Snapshot) -> NDArray[Any]:
    return snapshot.index if snapshot.by_index else snapshot.keys


def _shifted(time: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times at the object; where no offset is known, those of the epochs."""
    return time + np.nan_to_num(offset) / DAY


def _flag_masks(view: View) -> dict[str, int]:
    return flag_masks_of(view.schema.field(FLAG))
