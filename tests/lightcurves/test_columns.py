"""columns.py and presets.py: which column is what in the formats of the field."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.columns import ColumnRequest, find_preset, get_preset, resolve_columns
from zarrmill.lightcurves.presets import PRESETS
from zarrmill.lightcurves.tables import Column, Table

SEXTRACTOR = "NUMBER X_IMAGE Y_IMAGE ALPHA_J2000 DELTA_J2000 MAG_AUTO MAGERR_AUTO FLUX_AUTO FLUXERR_AUTO FLAGS"
PHOTUTILS = "id xcenter ycenter sky_center.ra sky_center.dec aperture_sum aperture_sum_err"
PHOTUTILS_PSF = "id group_id x_fit y_fit flux_fit flux_err qfit cfit flags"
ZTF_API = "oid expid hjd mjd mag magerr catflags filtercode ra dec chi sharp limitmag magzp clrcoeff exptime"
ZTF_BULK = "objectid filterid fieldid rcid objra objdec nepochs hmjd mag magerr clrcoeff catflags"
ZTF_ALERT = "objectId jd fid ra dec magpsf sigmapsf diffmaglim isdiffpos"
RUBIN_DIA = "diaSourceId visit detector diaObjectId midpointMjdTai ra dec psfFlux psfFluxErr band pixelFlags_bad"
RUBIN_FORCED = "diaObjectId visit psfFlux psfFluxErr midpointMjdTai scienceFlux scienceFluxErr band decl ra"
KEPLER = "TIME TIMECORR CADENCENO SAP_FLUX SAP_FLUX_ERR SAP_BKG PDCSAP_FLUX PDCSAP_FLUX_ERR SAP_QUALITY"
TESS = "TIME TIMECORR CADENCENO SAP_FLUX SAP_FLUX_ERR SAP_BKG PDCSAP_FLUX PDCSAP_FLUX_ERR QUALITY"
PLAIN = "id ra dec mjd band flux flux_err flag"
META = {"TICID": 42, "RA_OBJ": 10.0, "DEC_OBJ": -5.0, "TELESCOP": "TESS", "BJDREFI": 2457000, "BJDREFF": 0.0}


def make(names: str, **meta) -> Table:
    """Return a table of two rows with these columns; flags of pixels are truth values."""
    columns = {
        name: Column(np.zeros(2, dtype=bool if name.startswith("pixelFlags") else float)) for name in names.split()
    }
    return Table("table", columns, meta)


def tell(columns) -> dict[str, object]:
    """Return what was found of a row and of its only measurement."""
    (values,) = columns.values
    roles = {role: getattr(columns, role) for role in ("key", "ra", "dec", "time", "epoch", "band")}
    return roles | {"value": values.value, "error": values.error, "flag": values.flag, "limit": values.limit}


@pytest.mark.parametrize(
    ("names", "preset", "expected"),
    [
        (
            SEXTRACTOR,
            "sextractor",
            {"key": None, "ra": "ALPHA_J2000", "value": "FLUX_AUTO", "error": ("FLUXERR_AUTO",), "flag": ("FLAGS",)},
        ),
        (PHOTUTILS, "photutils", {"key": None, "ra": "sky_center.ra", "value": "aperture_sum", "flag": ()}),
        (PHOTUTILS_PSF, "photutils", {"value": "flux_fit", "error": ("flux_err",), "flag": ("flags",)}),
        (
            ZTF_API,
            "ztf",
            {
                "key": "oid", "time": "mjd", "epoch": "expid", "band": "filtercode", "value": "mag",
                "error": ("magerr",), "flag": ("catflags",), "limit": ("limitmag",),
            },
        ),
        (ZTF_BULK, "ztf", {"key": "objectid", "ra": "objra", "time": "hmjd", "band": "filterid", "epoch": None}),
        (ZTF_ALERT, "ztf", {"key": "objectId", "time": "jd", "value": "magpsf", "limit": ("diffmaglim",)}),
        (
            RUBIN_DIA,
            "rubin",
            {
                "key": "diaObjectId", "time": "midpointMjdTai", "epoch": "visit", "band": "band", "value": "psfFlux",
                "error": ("psfFluxErr",), "flag": ("pixelFlags_bad",),
            },
        ),
        (RUBIN_FORCED, "rubin", {"dec": "decl", "value": "psfFlux", "flag": ()}),
        (
            KEPLER,
            "kepler",
            {"key": "@TICID", "time": "TIME", "epoch": "CADENCENO", "value": "PDCSAP_FLUX", "flag": ("SAP_QUALITY",)},
        ),
        (TESS, "kepler", {"ra": "@RA_OBJ", "band": "@TELESCOP", "flag": ("QUALITY",)}),
        (
            PLAIN,
            "generic",
            {"key": "id", "ra": "ra", "time": "mjd", "band": "band", "value": "flux", "error": ("flux_err",)},
        ),
    ],
    ids=["sextractor", "aperture", "psf", "ztf", "ztf bulk", "ztf alert", "dia", "forced", "kepler", "tess", "plain"],
)  # fmt: skip
def test_catalogues_are_recognised(names, preset, expected):
    """By the columns that their makers write, and said in a note."""
    columns = resolve_columns(make(names, **META))

    assert columns.preset == preset
    assert tell(columns).items() >= expected.items()
    assert any("preset" in note for note in columns.notes)


def test_the_kind_of_the_store_chooses_the_column():
    """SExtractor has both fluxes and magnitudes; what the store holds needs no conversion."""
    assert resolve_columns(make(SEXTRACTOR), kind="magnitude").values[0].value == "MAG_AUTO"
    assert resolve_columns(make(SEXTRACTOR), kind="flux").values[0].value == "FLUX_AUTO"
    assert resolve_columns(make(ZTF_API), kind="flux").values[0].value == "mag"


@pytest.mark.parametrize(
    ("names", "kind", "request_", "expected"),
    [
        (SEXTRACTOR, "magnitude", {}, ((99.0,), ())),
        (SEXTRACTOR, "flux", {}, ((), ())),
        (SEXTRACTOR, "flux", {"not_detected": (0.0,), "missing": (-1.0,)}, ((0.0,), (-1.0,))),
        (PLAIN, "flux", {}, ((), ())),
    ],
    ids=["sextractor", "its fluxes", "said", "plain fluxes"],
)
def test_values_that_stand_for_none(names, kind, request_, expected):
    """99 is no magnitude, but may be a flux."""
    columns = resolve_columns(make(names), ColumnRequest(**request_), kind=kind)

    assert (columns.not_detected, columns.missing) == expected


def test_plain_magnitudes_have_known_impossible_values():
    """No object has magnitude 99 or -99."""
    columns = resolve_columns(make("id mag mag_err"), kind="magnitude")

    assert 99.0 in columns.not_detected
    assert -99.0 in columns.missing


def test_what_is_said_wins_over_the_preset():
    """A named column replaces what the preset would take, and leaves the rest to it."""
    said = ColumnRequest(columns={"key": "NUMBER", "flux": "FLUX_APER", "ra": None})
    columns = resolve_columns(make(SEXTRACTOR + " FLUX_APER FLUXERR_APER"), said)

    assert tell(columns) == {
        "key": "NUMBER", "ra": None, "dec": None, "time": None, "epoch": None, "band": None,
        "value": "FLUX_APER", "error": ("FLUXERR_APER",), "flag": ("FLAGS",), "limit": (),
    }  # fmt: skip


def test_only_the_flag_may_be_said():
    """The values are still those of the preset."""
    columns = resolve_columns(make(SEXTRACTOR + " IMAFLAGS_ISO"), ColumnRequest(columns={"flag": "IMAFLAGS_ISO"}))

    assert (columns.values[0].value, columns.values[0].flag) == ("FLUX_AUTO", ("IMAFLAGS_ISO",))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("id flux_g flux_err_g flux_r fluxerr_r", [("flux_g", ("flux_err_g",)), ("flux_r", ("fluxerr_r",))]),
        ("id g_flux g_flux_err r_flux", [("g_flux", ("g_flux_err",)), ("r_flux", ())]),
        ("id gmag e_gmag rmag e_rmag", [("gmag", ("e_gmag",)), ("rmag", ("e_rmag",))]),
    ],
    ids=["flux_g", "g_flux", "gmag"],
)
def test_measurements_may_have_columns_of_their_own(names, expected):
    """One row holds all bands, as wide catalogues do."""
    columns = resolve_columns(make(names), measurements=("g", "r"))

    assert [(v.value, v.error) for v in columns.values] == expected
    assert [v.measurement for v in columns.values] == ["g", "r"]


def test_columns_of_measurements_may_be_said():
    """By role within a measurement; what is common is said once."""
    request = ColumnRequest(columns={"g": {"flux": "A", "flux_err": "DA"}, "r": {"flux": "B"}, "flag": "Q", "key": "N"})
    columns = resolve_columns(make("N A DA B B_ERR Q"), request, measurements=("g", "r"))

    assert [(v.measurement, v.value, v.error, v.flag) for v in columns.values] == [
        ("g", "A", ("DA",), ("Q",)),
        ("r", "B", ("B_ERR",), ("Q",)),
    ]


@pytest.mark.parametrize(
    ("name", "zero", "scale"),
    [("mjd", 0.0, "utc"), ("jd", -2400000.5, "utc"), ("bjd", -2400000.5, "tdb")],
    ids=str,
)
def test_names_of_times_tell_their_zero(name, zero, scale):
    """Julian dates are not modified ones."""
    columns = resolve_columns(make(f"id flux {name}"))

    assert (columns.time, columns.time_zero, columns.time_scale) == (name, zero, scale)


def test_times_of_kepler_count_from_a_keyword():
    """TIME is BJD less 2457000 for TESS; the header says so, and without it nothing is guessed."""
    columns = resolve_columns(make(TESS, **META))

    assert (columns.time_zero, columns.time_scale) == (2457000 - 2400000.5, "tdb")
    with pytest.raises(InvalidInputError, match=r"no keyword BJDREFI.*Set time_zero"):
        resolve_columns(make(TESS))
    assert resolve_columns(make(TESS), ColumnRequest(time_zero=5.0)).time_zero == 5.0


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"columns": {"flx": "flux"}}, r"no role 'flx'. Did you mean 'flux'"),
        ({"columns": {"flux": "fluxx"}}, r"table: there is no column 'fluxx'. Did you mean 'flux'"),
        ({"columns": {"g": {"fluxes": "flux"}}}, r"columns of g: there is no role 'fluxes'"),
        ({"columns": {"u": {"flux": "flux"}}}, r"no measurement 'u'"),
        ({"columns": {"key": "@TICD"}}, r"no keyword 'TICD'. Did you mean 'TICID'"),
        ({"preset": "sextracter"}, r"no preset 'sextracter'. Did you mean 'sextractor'"),
    ],
    ids=["role", "column", "nested role", "measurement", "keyword", "preset"],
)
def test_unknown_names_are_named_with_the_nearest(request_, message):
    """Otherwise they would match nothing in silence."""
    with pytest.raises(KeyError, match=message):
        resolve_columns(make(PLAIN, TICID=1), ColumnRequest(**request_), measurements=("g", "r"))


def test_a_table_without_values_is_refused():
    """With what was looked for and what there is."""
    with pytest.raises(InvalidInputError, match=r"no column holds values; 'generic' looks for flux.*columns are a, b"):
        resolve_columns(make("a b"))


def test_columns_of_two_presets_are_not_guessed():
    """Neither is taken."""
    table = make(f"{SEXTRACTOR} {ZTF_API}")
    with pytest.raises(InvalidInputError, match="fit the presets 'sextractor' and 'ztf'"):
        find_preset(table)
    assert resolve_columns(table, ColumnRequest(preset="ztf")).key == "oid"


def test_every_preset_has_a_name_and_aliases_lead_to_one():
    """What the command line offers."""
    assert set(PRESETS) == {"sextractor", "photutils", "ztf", "rubin", "kepler", "generic"}
    assert get_preset("TESS") is get_preset("k2") is PRESETS["kepler"]
    assert get_preset("lsst") is PRESETS["rubin"]
