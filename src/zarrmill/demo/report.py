"""What the demo made and measured, as values, as JSON and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from zarrmill.demo.curves import CurveFigures
from zarrmill.units import format_bytes, format_seconds


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """One of the two stores of the demo, by measurement."""

    path: str
    """Where it lies."""
    nbytes: int
    """Bytes of all keys, metadata included."""
    keys: int
    """Number of keys (files), metadata included."""
    seconds: float
    """Wall time that it took to make it."""
    read_seconds: float
    """Median wall time to read one object in all bands and epochs from an opened store, with warm file caches."""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo made and measured."""

    stars: int
    """Number of real stars."""
    points: int
    """Number of real measurements."""
    objects: int
    """Number of simulated objects."""
    bands: int
    """Number of bands."""
    epochs: int
    """Number of epochs."""
    seed: int
    """Seed of the survey."""
    nbytes: int
    """Decoded bytes of magnitudes and errors."""
    observed: float
    """Fraction of the values that is not NaN, from 0 to 1."""
    by_epoch: StoreFigures
    """The survey as it was written, epoch by epoch."""
    by_object: StoreFigures
    """The survey rechunked: one object per chunk, inside shards."""
    max_mem: int
    """Memory limit of the rechunk in bytes."""
    peak_mem: int
    """Largest memory that the rechunk used above what the process held before, in bytes."""
    verify: str
    """How the target was checked against the source: "full" compares every value."""
    light_curves: CurveFigures
    """The real light curves as a store of light curves."""

    @property
    def speedup(self) -> float:
        """How many times faster one light curve is read after than before."""
        return self.by_epoch.read_seconds / self.by_object.read_seconds

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    def to_table(self) -> Table:
        """Return the report as a short table for people, before beside after."""
        before, after = self.by_epoch, self.by_object
        table = Table("", "written by epoch", "rechunked by object", title=self._title, caption=self._caption)
        table.add_row("size on disk", format_bytes(before.nbytes), format_bytes(after.nbytes))
        table.add_row("keys (files)", f"{before.keys:,}", f"{after.keys:,}")
        table.add_row("time to make it", format_seconds(before.seconds), format_seconds(after.seconds))
        table.add_row("peak memory", "", f"{format_bytes(self.peak_mem)} of {format_bytes(self.max_mem)}")
        table.add_row("verified", "", "every value" if self.verify == "full" else self.verify)
        table.add_row("read one light curve", _say_milliseconds(before), _say_milliseconds(after))
        table.add_row("", "", f"{self.speedup:.0f} times faster")
        curves = self.light_curves
        table.add_section()
        table.add_row(
            "real light curves", f"{curves.objects} stars, {curves.epochs:,} epochs", f"{curves.points:,} points"
        )
        table.add_row(
            "ingested, folded", format_seconds(curves.ingest_seconds), format_seconds(curves.relayout_seconds)
        )
        table.add_row("read one", "every point compared", f"{1000 * curves.read_seconds:.2f} ms")
        return table

    @property
    def _title(self) -> str:
        return (
            f"{self.objects:,} objects x {self.bands} bands x {self.epochs} epochs = {format_bytes(self.nbytes)},\n"
            f"from {self.points:,} real measurements of {self.stars} stars"
        )

    @property
    def _caption(self) -> Text:
        curves = self.light_curves
        made = f"seed {self.seed}, {self.observed:.0%} of the values observed"
        return Text("\n".join((made, self.by_epoch.path, self.by_object.path, curves.path, curves.picture)))


def _say_milliseconds(store: StoreFigures) -> str:
    return f"{1000 * store.read_seconds:.2f} ms"
