"""The benchmark of recordings runs, and its figures are those of what it says."""

import json

import pytest

from benchmarks.recordings.__main__ import PARTS, main


@pytest.mark.slow
def test_every_part_runs(tmp_path, capsys):
    """A shortened run writes every figure, and leaves nothing but them."""
    assert main(["--work-dir", str(tmp_path), "--scale", "0.004"]) == 0
    figures = {f["what"]: f for f in json.loads((tmp_path / "recordings.json").read_text())["figures"]}

    assert len(figures) >= 3 * len(PARTS)
    assert all(figure["value"] > 0 for figure in figures.values())
    assert [path.name for path in tmp_path.iterdir()] == ["recordings.json"]
    assert "HDF5" in capsys.readouterr().out
    puts = figures["PUTs of a new store"]
    assert puts["value"] <= puts["target"]
