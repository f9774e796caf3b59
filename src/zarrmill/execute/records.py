"""Trailing axes that lie whole in every chunk, taken together as one record.

Copying 16 bytes at once instead of 8 twice is what makes the transposing copy cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.grid import Region, Shape

RECORD_BYTES = 2**16
"""Largest record: above this a copy runs at the speed of memory whatever its unit."""
_NUMBERS = {1: "u1", 2: "u2", 4: "u4", 8: "u8", 16: "c16"}
"""Types that numpy copies fastest, by size; anything else is copied as raw bytes."""


@dataclass(frozen=True, slots=True)
class Records:
    """How values are seen as records: the last axes merged into one item.

    >>> records = Records.of(np.dtype("f8"), (10, 4, 2), [(5, 1, 2), (1, 4, 2)])
    >>> records.axes, records.dtype
    (2, dtype('complex128'))
    """

    axes: int
    """Axes that are left."""
    dtype: np.dtype[Any]
    """Type of a record."""

    @classmethod
    def of(cls, dtype: np.dtype[Any], shape: Shape, boxes: list[Shape]) -> Records:
        """Return the records of an array whose chunks and tiles have the shapes ``boxes``."""
        if dtype.hasobject or dtype.kind == "T":
            return cls(len(shape), dtype)
        axes, itemsize = len(shape), dtype.itemsize
        while axes and itemsize * shape[axes - 1] <= RECORD_BYTES and _whole(axes - 1, shape, boxes):
            axes -= 1
            itemsize *= shape[axes]
        return cls(axes, np.dtype(_NUMBERS.get(itemsize, f"V{itemsize}")))

    def of_values(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values (a chunk, or anything that is whole on the merged axes) as records."""
        if values.dtype == self.dtype and values.ndim == self.axes:
            return values
        shape = values.shape[: self.axes]
        flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        return flat.view(self.dtype).reshape(shape)

    def to_values(self, records: NDArray[Any], *, dtype: np.dtype[Any], shape: Shape) -> NDArray[Any]:
        """Return contiguous records as the values of a chunk."""
        if records.dtype == dtype and records.shape == shape:
            return records
        flat: NDArray[Any] = records.reshape(-1).view(np.uint8)
        return flat.view(dtype).reshape(shape)

    def fill(self, fill: NDArray[Any]) -> NDArray[Any]:
        """Return one record of fill values, as a 0-d array."""
        if fill.dtype == self.dtype:
            return fill
        count = self.dtype.itemsize // max(1, fill.dtype.itemsize)
        return np.repeat(fill.reshape(1), count).view(np.uint8).view(self.dtype).reshape(())

    def shape(self, shape: Shape) -> Shape:
        """Return a shape of values as a shape of records."""
        return shape[: self.axes]

    def region(self, region: Region) -> Region:
        """Return a region of values as a region of records."""
        return Region(region.start[: self.axes], region.stop[: self.axes])


def _whole(axis: int, shape: Shape, boxes: list[Shape]) -> bool:
    return shape[axis] > 0 and all(box[axis] == shape[axis] for box in boxes)
