"""plot.py: pictures that show what there is."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.light_curve import LightCurve, Status
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.plot import COLORS, PlotOptions, find_styles, plot_folded, plot_light_curve

pytest.importorskip("matplotlib")
NAN = np.nan


def make(n=40, measurements=None, **changes) -> LightCurve:
    """Return magnitudes in g and r around 18, every fifth a limit."""
    time = 60000 + np.linspace(0, 30, n)
    wave = 18 + 0.3 * np.sin(time)[:, None] + np.array([0.0, 0.5])
    status = np.full((n, 2), Status.DETECTED, np.uint8)
    status[::5] = Status.NOT_DETECTED
    wave[::5] = NAN
    arrays = {"flux": wave, "flux_err": np.full((n, 2), 0.05), "limit": np.where(np.isnan(wave), 18.4, NAN)}
    bands = measurements or (
        Measurement("g", kind="magnitude", unit="mag"),
        Measurement("r", kind="magnitude", unit="mag"),
    )
    fields = {
        "key": "a7",
        "time": time,
        "measurements": bands,
        "arrays": arrays,
        "status": status,
        "ra": 1.0,
        "dec": 2.0,
    }
    return LightCurve(**(fields | changes))


def find_colors(png) -> set[str]:
    """Return the colours of a picture."""
    from matplotlib.image import imread

    pixels = (imread(png)[..., :3] * 255).round().astype(int).reshape(-1, 3)
    return {"#{:02x}{:02x}{:02x}".format(*pixel) for pixel in np.unique(pixels, axis=0).tolist()}


def test_the_picture_is_a_png_of_its_size(tmp_path):
    """Inches times dots, in the colours of the bands, and bright is up."""
    from matplotlib.image import imread

    figure = plot_light_curve(make(), tmp_path / "lc.png", options=PlotOptions(width=8, height=4, dpi=100))
    axes = figure.axes[0]

    assert imread(tmp_path / "lc.png").shape[:2] == (400, 800)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_title(loc="left") == "a7   RA 1.00000°  Dec +2.00000°"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "g\n32 points, 8 limits",
        "r\n32 points, 8 limits",
    ]


def test_limits_are_open_triangles_in_the_colour_of_the_band(tmp_path):
    """Edges are solid enough to be seen in the file; without limits they are gone."""
    lc = make()
    drawn = [line for line in plot_light_curve(lc).axes[0].lines if line.get_marker() == "v"]
    without = plot_light_curve(lc, options=PlotOptions(limits=False)).axes[0]

    assert [line.get_markeredgecolor() for line in drawn] == [COLORS["g"], COLORS["r"]]
    assert [len(line.get_xdata()) for line in drawn] == [8, 8]
    assert not [line for line in without.lines if line.get_marker() == "v"]


def test_fluxes_and_magnitudes_have_panels_of_their_own():
    """An axis has one unit."""
    kinds = Measurement("g", unit="nJy"), Measurement("r", kind="magnitude", unit="mag")
    figure = plot_light_curve(make(measurements=kinds))

    assert [axes.get_ylabel() for axes in figure.axes] == ["flux (nJy)", "magnitude"]
    assert figure.axes[0].get_ylim()[0] < figure.axes[0].get_ylim()[1]


def test_a_folded_curve_shows_two_turns():
    """Each point twice, a phase from 0 to 2, counted from the first point or from where it is said."""
    axes = plot_folded(make(), period=2 * np.pi).axes[0]
    shifted = plot_folded(make(), period=2 * np.pi, zero=59999.0).axes[0]
    x = axes.lines[0].get_xdata()

    assert axes.get_xlim() == (0.0, 2.0)
    assert (len(x), x.min() >= 0, x.max() < 2) == (64, True, True)
    np.testing.assert_allclose(np.sort(x)[32:] - 1, np.sort(x)[:32], atol=1e-9)
    assert "period 6.28319 d" in axes.get_xlabel()
    assert "phase 0 at MJD 59999.0000" in shifted.get_xlabel()
    assert "32 points" in axes.get_legend().get_texts()[0].get_text()


def test_wild_points_do_not_squeeze_the_others():
    """They are counted on the picture, or shown when asked for."""
    lc = make(n=1000)
    lc.arrays["flux"][3, 0] = 40.0
    axes = plot_light_curve(lc).axes[0]
    every = plot_light_curve(lc, options=PlotOptions(everything=True)).axes[0]

    assert axes.get_ylim()[0] < 20
    assert "1 point\noutside" in [text.get_text() for text in axes.texts]
    assert every.get_ylim()[0] > 40


def test_one_point_is_a_picture_too():
    """Without error, neighbours or a place on the sky."""
    arrays = {"flux": np.array([[5.0]]), "flux_err": np.array([[NAN]])}
    lc = LightCurve(key=1, time=np.array([60000.0]), measurements=(Measurement("clear"),), arrays=arrays)
    figure = plot_light_curve(lc, io.BytesIO())

    assert figure.axes[0].get_title(loc="left") == "1"
    assert figure.axes[0].get_ylim()[0] < 5 < figure.axes[0].get_ylim()[1]


def test_an_object_without_points_is_refused():
    """An empty picture would look like a fault."""
    with pytest.raises(InvalidInputError, match="object 'a7': no point was detected"):
        plot_light_curve(make(status=np.full((40, 2), Status.NOT_OBSERVED, np.uint8)))


@pytest.mark.parametrize("period", [0, -1.0, NAN, np.inf], ids=str)
def test_a_period_is_above_0(period):
    """Anything else has no phase."""
    with pytest.raises(InvalidInputError, match="above 0 days"):
        plot_folded(make(), period=period)


def test_bands_have_colours_of_their_own():
    """Known bands theirs, others in turn; the measurements of a band share it and differ by marker."""
    names = ["g", "clear", "white", "W1"]
    colors, markers = find_styles([*(Measurement(name) for name in names), Measurement("g_ap2", "g")])

    assert len({colors[name] for name in names}) == 4
    assert colors["g_ap2"] == colors["g"] == COLORS["g"]
    assert markers["g_ap2"] != markers["g"]


def test_pyplot_is_never_loaded():
    """Figures of a library stay out of the global state of whoever uses it."""
    code = (
        "import sys, io, numpy as np\n"
        "from zarrmill.lightcurves.light_curve import LightCurve\n"
        "from zarrmill.lightcurves.photometry import Measurement\n"
        "from zarrmill.lightcurves.plot import plot_light_curve\n"
        "a = np.ones((3, 1))\n"
        "arrays = {'flux': a, 'flux_err': a}\n"
        "lc = LightCurve(key=1, time=np.arange(3.0), measurements=(Measurement('g'),), arrays=arrays)\n"
        "plot_light_curve(lc, io.BytesIO())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
