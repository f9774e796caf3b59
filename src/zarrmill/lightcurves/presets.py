"""How catalogues of the field name their columns: SExtractor, photutils, ZTF, Rubin, Kepler, TESS, anything plain.

Names are written as their makers do and found whatever their case. ``@WORD`` is a keyword of the table instead of a
column: Kepler and TESS tell the object in the header of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zarrmill.lightcurves.photometry import Kind

JD = -2_400_000.5
"""Modified Julian date of Julian date 0."""


@dataclass(frozen=True, slots=True)
class TimeNames:
    """A column of times and how it counts them."""

    name: str
    """Column."""
    zero: float | tuple[str, ...] = 0.0
    """Modified Julian date of 0, or the keywords that add up to its Julian date."""
    scale: str = "utc"
    """Scale as astropy calls it."""


@dataclass(frozen=True, slots=True)
class ValueNames:
    """The columns of one measurement; of alternatives the first that exists is taken."""

    value: str
    """Flux or magnitude."""
    error: tuple[str, ...] = ()
    """One standard deviation."""
    kind: Kind = "flux"
    """Which of both."""
    flag: tuple[str, ...] = ()
    """Quality flags: a column of bits, or several of which each is a bit."""
    limit: tuple[str, ...] = ()
    """Upper limit of what was not detected, in the unit of the value."""
    unit: str = ""
    """Unit where the table tells none."""
    measurement: str = ""
    """Measurement of the store; empty where the band of the row tells."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of catalogue."""

    name: str
    """What it is asked for by."""
    about: str
    """What it is, for people."""
    values: tuple[ValueNames, ...]
    """Measurements that it may have, the best first."""
    signatures: tuple[frozenset[str], ...] = ()
    """Sets of columns of which one, found whole, tells this kind of catalogue."""
    key: tuple[str, ...] = ()
    """Columns with the key of the object; none where rows are numbered anew in each catalogue."""
    ra: tuple[str, ...] = ()
    """Right ascension in degrees."""
    dec: tuple[str, ...] = ()
    """Declination in degrees."""
    time: tuple[TimeNames, ...] = ()
    """Time of each row."""
    epoch: tuple[str, ...] = ()
    """What rows of one exposure have in common."""
    band: tuple[str, ...] = ()
    """Band of each row."""
    bands: Mapping[str, str] = field(default_factory=dict)
    """Bands by how they are written."""
    not_detected: tuple[float, ...] = ()
    """Values that stand for: looked at, and not seen."""
    missing: tuple[float, ...] = ()
    """Values that stand for: no value."""
    flag_masks: Mapping[str, int] = field(default_factory=dict)
    """Bits of the flags by what they mean."""


def _sets(*texts: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(text.lower().split()) for text in texts)


_QUANTITIES: tuple[tuple[str, Kind, str], ...] = (("MAG", "magnitude", "mag"), ("FLUX", "flux", "adu"))
SEXTRACTOR = Preset(
    name="sextractor",
    about="catalogue of SExtractor, one per image; NUMBER counts rows, so objects are matched by position",
    signatures=_sets("ALPHA_J2000 DELTA_J2000", "ALPHAWIN_J2000 DELTAWIN_J2000", "NUMBER X_IMAGE Y_IMAGE"),
    ra=("ALPHAWIN_J2000", "ALPHA_J2000", "ALPHAPEAK_J2000", "X_WORLD"),
    dec=("DELTAWIN_J2000", "DELTA_J2000", "DELTAPEAK_J2000", "Y_WORLD"),
    time=(TimeNames("@MJD-OBS"),),
    band=("@FILTER",),
    values=tuple(
        ValueNames(f"{quantity}_{way}", (f"{quantity}ERR_{way}",), kind, ("FLAGS",), unit=unit)
        for way in ("AUTO", "PSF", "BEST", "ISOCOR", "ISO", "APER", "APER[0]")
        for quantity, kind, unit in _QUANTITIES
    ),
    # A flux that is not positive has the magnitude 99: https://sextractor.readthedocs.io
    not_detected=(99.0,),
    flag_masks={
        "crowded": 1, "blended": 2, "saturated": 4, "truncated": 8, "aperture_incomplete": 16,
        "isophote_incomplete": 32, "deblending_overflow": 64, "extraction_overflow": 128,
    },
)  # fmt: skip

PHOTUTILS = Preset(
    name="photutils",
    about="table of photutils, one per image; id and label count rows, so objects are matched by position",
    signatures=_sets("id aperture_sum", "id aperture_sum_0", "x_fit y_fit flux_fit", "label segment_flux"),
    ra=("sky_center.ra", "sky_centroid.ra", "sky_centroid_icrs.ra"),
    dec=("sky_center.dec", "sky_centroid.dec", "sky_centroid_icrs.dec"),
    values=(
        ValueNames("flux_fit", ("flux_err", "flux_unc"), flag=("flags",)),
        ValueNames("aperture_sum", ("aperture_sum_err",)),
        ValueNames("aperture_sum_0", ("aperture_sum_err_0",)),
        ValueNames("kron_flux", ("kron_fluxerr", "kron_flux_err")),
        ValueNames("segment_flux", ("segment_fluxerr", "segment_flux_err")),
    ),
)

ZTF = Preset(
    name="ztf",
    about="light curves and alerts of the Zwicky Transient Facility; one oid is one star in one band of one field",
    signatures=_sets("oid mag magerr catflags", "objectid hmjd mag magerr", "objectId magpsf sigmapsf fid"),
    key=("oid", "objectid"),
    ra=("ra", "objra"),
    dec=("dec", "objdec"),
    time=(TimeNames("mjd"), TimeNames("hmjd"), TimeNames("jd", JD), TimeNames("hjd", JD)),
    epoch=("expid",),
    band=("filtercode", "filterid", "fid"),
    bands={"zg": "g", "zr": "r", "zi": "i", "1": "g", "2": "r", "3": "i"},
    values=(
        ValueNames("mag", ("magerr",), "magnitude", ("catflags",), ("limitmag",), "mag"),
        ValueNames("magpsf", ("sigmapsf",), "magnitude", limit=("diffmaglim",), unit="mag"),
    ),
)

RUBIN = Preset(
    name="rubin",
    about="DiaSource, ForcedSource and their kin of the Rubin Observatory; fluxes in nJy",
    signatures=_sets("diaObjectId psfFlux", "diaSourceId", "forcedSourceId", "objectId psfFlux psfFluxErr band"),
    key=("diaObjectId", "objectId"),
    ra=("ra", "coord_ra"),
    dec=("dec", "decl", "coord_dec"),
    time=(
        TimeNames("midpointMjdTai", scale="tai"),
        TimeNames("midPointTai", scale="tai"),
        TimeNames("expMidptMJD", scale="tai"),
    ),
    epoch=("visit", "ccdVisitId"),
    band=("band", "filterName"),
    values=(
        ValueNames(
            "psfFlux", ("psfFluxErr",), unit="nJy",
            flag=("psfFlux_flag", "pixelFlags_bad", "pixelFlags_cr", "pixelFlags_edge", "pixelFlags_interpolated",
                  "pixelFlags_saturated", "pixelFlags_suspect"),
        ),
        ValueNames("psfDiffFlux", ("psfDiffFluxErr",), unit="nJy", flag=("psfDiffFlux_flag",)),
        ValueNames("scienceFlux", ("scienceFluxErr",), unit="nJy"),
        ValueNames("psFlux", ("psFluxErr",), unit="nJy"),
    ),
)  # fmt: skip

KEPLER = Preset(
    name="kepler",
    about="light-curve files of Kepler, K2 and TESS, one object per file; times at the barycentre",
    signatures=_sets("TIME PDCSAP_FLUX CADENCENO", "TIME SAP_FLUX CADENCENO"),
    key=("@TICID", "@KEPLERID"),
    ra=("@RA_OBJ",),
    dec=("@DEC_OBJ",),
    time=(TimeNames("TIME", ("BJDREFI", "BJDREFF"), "tdb"),),
    epoch=("CADENCENO",),
    band=("@TELESCOP",),
    values=(
        ValueNames("PDCSAP_FLUX", ("PDCSAP_FLUX_ERR",), flag=("SAP_QUALITY", "QUALITY"), unit="electron s-1"),
        ValueNames("KSPSAP_FLUX", ("KSPSAP_FLUX_ERR",), flag=("QUALITY",)),
        ValueNames("SAP_FLUX", ("SAP_FLUX_ERR",), flag=("SAP_QUALITY", "QUALITY"), unit="electron s-1"),
    ),
)

_FLUX_ERRORS = ("flux_err", "fluxerr", "flux_error", "flux_unc", "e_flux", "sigma_flux", "dflux")
_MAG_ERRORS = ("mag_err", "magerr", "mag_error", "mag_unc", "e_mag", "sigma_mag", "dmag")
_FLAGS = ("flag", "flags", "quality")
_LIMITS = ("limit", "upper_limit", "limitmag", "mag_limit", "maglim", "limiting_mag")
GENERIC = Preset(
    name="generic",
    about="anything with plain names: id, ra, dec, mjd, band, flux, flux_err, mag, mag_err, flag, limit",
    key=("object_id", "objectid", "object", "obj_id", "source_id", "key", "id", "name"),
    ra=("ra", "ra_deg", "raj2000", "ra_icrs", "right_ascension"),
    dec=("dec", "dec_deg", "dej2000", "de_icrs", "declination"),
    time=(
        TimeNames("mjd"), TimeNames("time"), TimeNames("jd", JD), TimeNames("bjd", JD, "tdb"), TimeNames("hjd", JD),
        TimeNames("@MJD-OBS"),
    ),
    epoch=("epoch", "visit", "exposure", "expid"),
    band=("band", "filter", "filt", "@FILTER"),
    values=(
        ValueNames("flux", _FLUX_ERRORS, "flux", _FLAGS, _LIMITS),
        ValueNames("mag", _MAG_ERRORS, "magnitude", _FLAGS, _LIMITS, "mag"),
        ValueNames("magnitude", (*_MAG_ERRORS, "magnitude_err", "err"), "magnitude", _FLAGS, _LIMITS, "mag"),
    ),
)  # fmt: skip

PRESETS: Mapping[str, Preset] = {each.name: each for each in (SEXTRACTOR, PHOTUTILS, ZTF, RUBIN, KEPLER, GENERIC)}
"""Every preset by name."""
ALIASES = {"tess": "kepler", "k2": "kepler", "lsst": "rubin", "source-extractor": "sextractor"}
"""Other names of presets."""
NOT_DETECTED_MAGNITUDES = (99.0, 99.9, 99.99, 99.999)
"""Magnitudes that no object has, and that catalogues without a preset write for what was not seen."""
MISSING_MAGNITUDES = (-99.0, -999.0, -9999.0, 999.0, 9999.0)
"""Magnitudes that catalogues without a preset write for no value."""
