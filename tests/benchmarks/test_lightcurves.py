"""The benchmark of light curves runs, and its figures are those of what it says."""

import json

from benchmarks.figures import Figure, as_table
from benchmarks.lightcurves import measure
from benchmarks.lightcurves.__main__ import PARTS, main


def test_every_part_runs(tmp_path, capsys, monkeypatch):
    """A shortened run writes every figure, and leaves nothing but them."""
    monkeypatch.setattr(measure, "READS", 50)
    monkeypatch.setattr(measure, "HISTORIES", (5, 25, 125))
    assert main(["--work-dir", str(tmp_path), "--scale", "0.005"]) == 0
    figures = json.loads((tmp_path / "lightcurves.json").read_text())["figures"]

    assert len(figures) >= 2 * len(PARTS)
    assert all(figure["value"] > 0 for figure in figures)
    assert [path.name for path in tmp_path.iterdir()] == ["lightcurves.json"]
    assert "zarr-python alone" in capsys.readouterr().out
    requests = {f["what"]: f["value"] for f in figures if "requests" in f["what"]}
    assert list(requests.values()) == [2, 3]


def test_a_target_that_is_missed_says_so():
    """A figure above its target is marked; one without is not."""
    missed, reached, beside = Figure("a", 2, "ms", 1), Figure("b", 1, "ms", 1), Figure("c", 1, "ms")

    assert (missed.reached, reached.reached, beside.reached) == (False, True, None)
    assert "| NO " in as_table([missed])
