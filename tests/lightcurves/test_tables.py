"""tables.py and its readers: every format gives the same columns, masks and units."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.lightcurves.tables import as_column, read_table

astropy_table = pytest.importorskip("astropy.table")
fits = pytest.importorskip("astropy.io.fits")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def make():
    """Return a table with a masked flux, masked whole numbers, a large key, text and units."""
    table = astropy_table.Table(masked=True)
    table["ID"] = np.array([2**60 + 1, 2**60 + 3, 7])
    table["FLUX"] = astropy_table.MaskedColumn([1.5, 2.5, 3.5], mask=[False, True, False], unit="nJy")
    table["FLAGS"] = astropy_table.MaskedColumn(np.array([0, 4, 2**15], "i4"), mask=[False, False, True])
    table["band"] = ["g", "r", "g"]
    return table


def check(table):
    """Assert that a table is the one that was made."""
    assert list(table.columns) == ["ID", "FLUX", "FLAGS", "band"]
    assert table["ID"].values.tolist() == [2**60 + 1, 2**60 + 3, 7]
    np.testing.assert_array_equal(table["FLUX"].values, [1.5, np.nan, 3.5])
    assert table["FLAGS"].values.dtype.kind == "i"
    assert table["FLAGS"].values[:2].tolist() == [0, 4]
    assert (table["FLUX"].absent.tolist(), table["FLAGS"].absent.tolist()) == ([0, 1, 0], [0, 0, 1])
    assert table["band"].values.tolist() == ["g", "r", "g"]
    assert all(column.values.dtype.isnative for column in table.columns.values())


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("night.fits", "fits"),
        ("night.ecsv", "ascii.ecsv"),
        ("night.vot", "votable"),
        ("night.xml", "votable"),
        ("night.csv", "csv"),
        ("night.tbl", "ascii.ipac"),
        ("night.parquet", "parquet"),
    ],
    ids=lambda value: value,
)
def test_every_format_gives_the_same(tmp_path, name, format):
    """Masks stay masks, whole numbers whole, large keys exact, bytes text; units come where the format has them."""
    if format == "parquet":
        made = make()
        arrays = {key: pa.array(made[key].tolist()) for key in made.colnames}
        schema = pa.schema([pa.field(key, array.type, metadata={"unit": "nJy"} if key == "FLUX" else None)
                            for key, array in arrays.items()])  # fmt: skip
        pq.write_table(pa.table(list(arrays.values()), schema=schema), tmp_path / name)
    else:
        make().write(tmp_path / name, format=format)
    table = read_table(tmp_path / name)

    check(table)
    assert table.name == name
    assert table["FLUX"].unit == ("" if format == "csv" else "nJy")


def test_tables_in_memory_give_the_same():
    """astropy, Arrow, pandas and numpy."""
    pd = pytest.importorskip("pandas")
    made = make()
    frame = pd.DataFrame(
        {
            "ID": made["ID"].tolist(),
            "FLUX": [1.5, np.nan, 3.5],
            "FLAGS": pd.array([0, 4, None], dtype="Int32"),
            "band": pd.array(["g", "r", "g"], dtype="category"),
        }
    )

    check(read_table(made))
    check(read_table(astropy_table.QTable(made)))
    check(read_table(frame))
    check(read_table(frame.set_index("ID")))
    check(read_table(pa.Table.from_pandas(frame)))
    check(read_table({name: made[name] for name in made.colnames}))
    assert read_table(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]))["b"].values.tolist() == [2.0]


SEXTRACTOR = """#   1 NUMBER                 Running object number
#   2 ALPHA_J2000            Right ascension of barycenter (J2000)                      [deg]
#   3 DELTA_J2000            Declination of barycenter (J2000)                          [deg]
#   4 FLUX_APER              Flux vector within fixed circular aperture(s)              [count]
#   6 MAG_AUTO               Kron-like elliptical aperture magnitude                    [mag]
#   7 FLAGS                  Extraction flags
         1 150.1000000   2.2000000     10.5     20.5  18.2500   0
         2 150.2000000   2.3000000     11.5     21.5  99.0000   3
"""


@pytest.mark.parametrize("name", ["night.cat", "night.txt", "night"], ids=str)
def test_catalogues_of_sextractor_are_known_by_their_head(tmp_path, name):
    """Whatever the file is called; elements of vectors have names of their own."""
    (tmp_path / name).write_text(SEXTRACTOR)
    table = read_table(tmp_path / name)

    assert list(table.columns)[3:] == ["FLUX_APER", "FLUX_APER_1", "MAG_AUTO", "FLAGS"]
    assert table["flux_aper_1"].values.tolist() == [20.5, 21.5]
    assert (table["MAG_AUTO"].unit, table["FLAGS"].values.dtype.kind) == ("mag", "i")


def test_text_columns_are_guessed(tmp_path):
    """Plain columns with a header line."""
    (tmp_path / "night.dat").write_text("mjd mag magerr\n60000.5 18.2 0.1\n")

    assert read_table(tmp_path / "night.dat")["mag"].values.tolist() == [18.2]


def test_of_an_ldac_file_the_objects_are_read(tmp_path):
    """The first table of such a file holds the header of the image."""
    head = fits.BinTableHDU.from_columns([fits.Column("Field Header Card", "80A", array=["X"])], name="LDAC_IMHEAD")
    rows = fits.BinTableHDU.from_columns([fits.Column("NUMBER", "J", array=[1, 2])], name="LDAC_OBJECTS")
    fits.HDUList([fits.PrimaryHDU(), head, rows]).writeto(tmp_path / "night.ldac")

    assert read_table(tmp_path / "night.ldac")["NUMBER"].values.tolist() == [1, 2]


def write_two(path):
    """Write a FITS file with two tables and a keyword."""
    parts = [fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[i])], name=f"PART{i}") for i in (1, 2)]
    primary = fits.PrimaryHDU()
    primary.header["TICID"] = 25155310
    fits.HDUList([primary, *parts]).writeto(path)


@pytest.mark.parametrize("hdu", [2, "PART2", "part2"], ids=str)
def test_one_of_several_tables_is_named(tmp_path, hdu):
    """By number or by name; keywords of the first header belong to it too."""
    write_two(tmp_path / "two.fits")
    table = read_table(tmp_path / "two.fits", hdu=hdu)

    assert table["A"].values.tolist() == [2]
    assert table.meta["TICID"] == 25155310


def test_several_tables_without_a_name_are_refused(tmp_path):
    """The first is not the right one by being first."""
    write_two(tmp_path / "two.fits")

    with pytest.raises(InvalidInputError, match="there are 2 tables: PART1, PART2"):
        read_table(tmp_path / "two.fits")
    with pytest.raises(KeyError, match=r"no table 'PART3'\. Did you mean 'PART"):
        read_table(tmp_path / "two.fits", hdu="PART3")


def test_vectors_masks_and_packed_files(tmp_path):
    """FLUX_APER[1] is the second aperture; a gzipped FITS file is one."""
    table = astropy_table.Table({"FLUX_APER": np.arange(6.0, dtype=">f4").reshape(3, 2)})
    table.write(tmp_path / "night.fits")
    with (tmp_path / "night.fits").open("rb") as plain, gzip.open(tmp_path / "night.fits.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    read = read_table(tmp_path / "night.fits.gz")

    assert read["FLUX_APER"].values.shape == (3, 2)
    assert read["flux_aper[1]"].values.tolist() == [1.0, 3.0, 5.0]
    assert "FLUX_APER[2]" not in read
    with pytest.raises(KeyError, match="FLUX_APER"):
        read["FLUX_APER[2]"]


def test_times_and_places_become_numbers():
    """A Time column is in MJD with its scale, a SkyCoord column two columns in degrees, dates are MJD."""
    time, coordinates = pytest.importorskip("astropy.time"), pytest.importorskip("astropy.coordinates")
    table = astropy_table.QTable()
    table["time"] = time.Time([2460000.5], format="jd", scale="tdb")
    table["sky_center"] = coordinates.SkyCoord([10.0], [-5.0], unit="deg")
    read = read_table(table)

    assert (read["time"].values.tolist(), read["time"].scale) == ([60000.0], "tdb")
    assert (read["sky_center.ra"].values[0], read["sky_center.dec"].values[0]) == pytest.approx((10.0, -5.0))
    assert as_column(np.array(["2023-02-25T12:00:00"], "M8[s]")).values.tolist() == [60000.5]


@pytest.mark.parametrize("form", ["lists", "struct of lists", "list of structs"])
def test_nested_rows_become_one_row_per_element(tmp_path, form):
    """As surveys publish light curves: one row per object, lists of dates and magnitudes in it."""
    curves = [{"hmjd": [1.0, 2.0], "mag": [18.0, 18.5]}, {"hmjd": [], "mag": []}, {"hmjd": [3.0], "mag": [19.0]}]
    ids = pa.array([5, 6, 7])
    if form == "lists":
        arrays = {key: pa.array([c[key] for c in curves]) for key in ("hmjd", "mag")}
    elif form == "struct of lists":
        arrays = {"lc": pa.array(curves)}
    else:
        arrays = {"lc": pa.array([[dict(zip(c, pair, strict=True)) for pair in zip(*c.values(), strict=True)]
                                  for c in curves])}  # fmt: skip
    pq.write_table(pa.table({"objectid": ids, **arrays}), tmp_path / "ztf.parquet")
    table = read_table(tmp_path / "ztf.parquet")

    assert table["objectid"].values.tolist() == [5, 5, 7]
    name = "hmjd" if form == "lists" else "lc.hmjd"
    assert table[name].values.tolist() == [1.0, 2.0, 3.0]


def test_lists_of_unequal_length_are_refused():
    """Which date would a magnitude belong to?"""
    with pytest.raises(SourceFormatError, match="row 1 has 1 elements of 'a' and 2 of 'b'"):
        read_table(pa.table({"a": [[1], [2]], "b": [[1], [2, 3]]}))


@pytest.mark.parametrize("name", ["bad.fits", "bad.vot", "bad.parquet", "bad.bin"], ids=str)
def test_what_is_no_table_is_named(tmp_path, name):
    """With the reason of its reader in one line."""
    (tmp_path / name).write_bytes(b"\0nothing\n")

    with pytest.raises(SourceFormatError, match=name) as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_other_bad_input(tmp_path):
    """A file that is not there, a table that is none, columns of two lengths, an unknown column."""
    with pytest.raises(NotFoundError, match="no such file"):
        read_table(tmp_path / "none.fits")
    with pytest.raises(InvalidInputError, match="float is no table"):
        read_table(1.0)
    with pytest.raises(InvalidInputError, match="column 'a' has 1 rows, 'b' has 2"):
        read_table({"a": [1], "b": [1, 2]})
    with pytest.raises(KeyError, match=r"table: there is no column 'flx'\. Did you mean 'flux'"):
        read_table({"flux": [1]})["flx"]


def test_warnings_of_a_reader_become_notes(tmp_path):
    """A unit that astropy does not know does not stop anybody, and is not lost."""
    column = fits.Column("TIME", "D", unit="BJD - 2454833", array=[1.0])
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(tmp_path / "k.fits")
    table = read_table(tmp_path / "k.fits")

    assert table["TIME"].unit == "BJD - 2454833"
    assert any("BJD" in note for note in table.notes)


def test_a_file_that_was_cut_short_says_so(tmp_path, capfd):
    """In the one line of the error, and nowhere else."""
    astropy_table.Table({"flux": np.ones(3000)}).write(tmp_path / "whole.fits")
    (tmp_path / "cut.fits").write_bytes((tmp_path / "whole.fits").read_bytes()[:9000])

    with pytest.raises(SourceFormatError, match=r"truncated.*Get the file again") as caught:
        read_table(tmp_path / "cut.fits")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_damage_that_a_checksum_tells_becomes_a_note(tmp_path):
    """Files with FITS checksums are compared with them."""
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(astropy_table.Table({"flux": np.ones(300)}), name="T")])
    hdus.writeto(tmp_path / "t.fits", checksum=True)
    assert read_table(tmp_path / "t.fits").notes == ()
    data = bytearray((tmp_path / "t.fits").read_bytes())
    data[-2800] ^= 1
    (tmp_path / "t.fits").write_bytes(data)

    assert any("Datasum verification failed" in note for note in read_table(tmp_path / "t.fits").notes)
