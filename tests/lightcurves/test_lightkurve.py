"""to_lightkurve() with the real library, which needs a pandas below that of the suite: in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
    import json, sys, warnings
    import numpy as np
    from zarrmill.lightcurves import CreateOptions, LightcurveStorage

    options = CreateOptions(unit="nJy", flags={"edge": 4}, time_scale="tdb")
    catalogue = {"key": ["a7", "b8"], "ra": [150.1, 10.0], "dec": [2.2, -5.0]}
    storage = LightcurveStorage.create(sys.argv[1], catalogue=catalogue, measurements=["g", "r"], options=options)
    days = np.arange(200) * 0.37
    wave = 100 + 10 * np.sin(2 * np.pi * days / 2.5)
    for i, day in enumerate(days.tolist()):
        night = {
            "flux": {"g": [wave[i], np.nan], "r": [2 * wave[i], 1.0]},
            "flux_err": {"g": [1.0, np.nan], "r": [1.0, 0.1]},
            "flag": {"g": [4 * (i == 3), 0], "r": [0, 0]},
        }
        storage.populate_epoch(f"n{i:03d}", night, time=60000.0 + day, sync=False)
    storage.relayout()
    curve = storage.get_lightcurve("a7").to_lightkurve("g")

    import lightkurve, pandas
    assert isinstance(curve, lightkurve.LightCurve)
    period = curve.to_periodogram(method="lombscargle", minimum_period=1, maximum_period=10).period_at_max_power
    folded = curve.fold(period=2.5)
    binned = curve.bin(time_bin_size=10)
    print(json.dumps({
        "lightkurve": lightkurve.__version__,
        "pandas": pandas.__version__,
        "points": len(curve),
        "time": curve.time.mjd.tolist()[:2],
        "scale": curve.time.scale,
        "unit": str(curve["flux"].unit),
        "same": bool((curve["flux"].value == wave.astype("f4")).all()),
        "errors": sorted(set(curve["flux_err"].value.tolist())),
        "flags": curve["flag"].tolist()[2:5],
        "label": curve.meta["LABEL"],
        "period": float(period.value),
        "folded": len(folded),
        "binned": len(binned),
        "frame": list(curve.to_pandas().columns)[:2],
        "without_nans": len(storage.get_lightcurve("b8").to_lightkurve("g").remove_nans()),
        "flattened": bool(abs(curve.normalize()["flux"].value.mean() - 1) < 0.1),
    }))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of an environment with lightkurve, filled from the package index."""
    folder = tmp_path_factory.mktemp("lightkurve") / "environment"
    venv.create(folder, with_pip=True)
    interpreter = folder / "bin" / "python"
    pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--editable", ROOT, "lightkurve"], capture_output=True, text=True, timeout=1500)
    if done.returncode:
        pytest.skip(f"lightkurve cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return interpreter


@pytest.mark.soak
def test_lightkurve_takes_what_was_stored(python, tmp_path) -> None:
    """Times, fluxes, errors, flags and units of a stored light curve arrive; it folds, bins and finds its period."""
    words = [python, "-W", "ignore", "-c", textwrap.dedent(PROGRAM), tmp_path / "survey"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"lightkurve {found['lightkurve']} with pandas {found['pandas']}", file=sys.stderr)

    assert (found["points"], found["folded"], found["same"]) == (200, 200, True)
    assert found["time"] == [60_000.0, 60_000.37]
    assert (found["scale"], found["unit"], found["label"]) == ("tdb", "nJy", "a7")
    assert (found["errors"], found["flags"]) == ([1.0], [0, 4, 0])
    assert found["period"] == pytest.approx(2.5, rel=0.01)
    assert 7 <= found["binned"] <= 9
    assert found["frame"] == ["flux", "flux_err"]
    assert found["without_nans"] == 0
    assert found["flattened"]
