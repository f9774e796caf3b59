"""optional.py: libraries that are loaded when they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zarrmill.lightcurves.optional import load

MODULES = (
    "columns", "conversions", "epochs", "ingest_report", "keys", "light_curve", "light_curves", "match", "parquet",
    "periodogram", "photometry", "plot", "presets", "row_matching", "row_values", "sky", "sky_match", "statistics",
    "tables", "arrow_tables", "astropy_tables",
)  # fmt: skip
HEAVY = ("astropy", "pandas", "pyarrow", "xarray", "matplotlib", "lightkurve")


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    """The command that mends it, and no chain of tracebacks."""
    for name in ("astropy", "astropy.table"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'zarrmill\[lightcurves\]'") as caught:
        load("astropy.table")
    assert caught.value.__suppress_context__


def test_what_a_library_lacks_itself_is_not_hidden(tmp_path, monkeypatch):
    """Installing the extra again would not help."""
    (tmp_path / "halfmade.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(ModuleNotFoundError, match="No module named 'nothing_of_this_name'"):
        load("halfmade")


def test_modules_load_no_heavy_library():
    """Opening a store must not wait for astropy."""
    imports = "\n".join(f"import zarrmill.lightcurves.{name}" for name in MODULES)
    code = f"{imports}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout.strip() == "[]"
