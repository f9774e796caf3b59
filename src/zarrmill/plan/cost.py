"""What a plan costs in seconds: the scale on which plans are compared, and the estimate that people are shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Speeds of one machine; the defaults are those of an ordinary server core, a calibration replaces them."""

    decode: float = 0.9e-9
    """CPU seconds per decoded byte."""
    encode: float = 3.0e-9
    """CPU seconds per encoded byte, measured before encoding."""
    copy: float = 0.3e-9
    """CPU seconds per byte moved between a chunk and a tile."""
    scratch: float = 0.8e-9
    """Seconds per byte written to and read back from the intermediate, after what overlaps with computing."""
    touch: float = 40e-6
    """CPU seconds to open and read one chunk."""
    key: float = 60e-6
    """CPU seconds to write one key."""
    segment: float = 300e-6
    """Seconds to read one segment of an intermediate: a seek."""
    tile: float = 1e-3
    """Seconds in which the threads wait for each other at the end of a tile."""
    request: float = 50e-3
    """Seconds that a request to a store takes, for which they wait at the end of a tile as well."""


RATES = Rates()
"""Rates that planning uses: plans depend on shapes and limits only, never on the machine."""


def pass_seconds(
    rates: Rates, *, threads: float, decoded: int, touches: int, encoded: int, keys: int, tiles: int
) -> float:
    """Return the seconds of reading, moving and writing the data of one pass."""
    cpu = decoded * (rates.decode + rates.copy) + touches * rates.touch + encoded * (rates.encode + rates.copy)
    return (cpu + keys * rates.key) / threads + tiles * rates.tile


def scratch_seconds(rates: Rates, *, nbytes: int, segments: int) -> float:
    """Return the seconds that one intermediate adds."""
    return nbytes * rates.scratch + segments * rates.segment
