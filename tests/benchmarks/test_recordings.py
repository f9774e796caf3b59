"""The benchmark of recordings runs, and its figures are those of what it says."""

import json
from contextlib import nullcontext

import pytest

from benchmarks.recordings import measure
from benchmarks.recordings.__main__ import PARTS, main
from tests.recordings.forked_pool import fork_processes


@pytest.fixture
def shared_servers(monkeypatch, s3_server, proxy):
    """The servers of the tests in place of new ones."""
    monkeypatch.setattr(measure, "S3Server", lambda: nullcontext(s3_server))
    monkeypatch.setattr(measure, "Proxy", lambda server: nullcontext(proxy))


@pytest.mark.slow
@pytest.mark.usefixtures("shared_servers")
def test_every_part_runs(tmp_path, capsys, monkeypatch):
    """A shortened run writes every figure, and leaves nothing but them."""
    fork_processes(monkeypatch)
    assert main(["--work-dir", str(tmp_path), "--scale", "0.002"]) == 0
    figures = {f["what"]: f for f in json.loads((tmp_path / "recordings.json").read_text())["figures"]}

    assert len(figures) >= 3 * len(PARTS)
    assert all(figure["value"] > 0 for figure in figures.values())
    assert [path.name for path in tmp_path.iterdir()] == ["recordings.json"]
    assert "HDF5" in capsys.readouterr().out
    puts = figures["PUTs of a new store"]
    assert puts["value"] <= puts["target"]
