"""The command discard."""

import json

from tests.cli.reports import Report

REMOVED = {"removed": ["/data/.b.zarr.draft", "/data/.b.zarr.scratch"], "nbytes": 3 * 2**20}


def test_discard_names_what_it_removed(run, api):
    """Every removed folder has a line."""
    api.answers["discard"] = Report(REMOVED)
    done = run("discard", "b.zarr")
    out = "removed  /data/.b.zarr.draft\nremoved  /data/.b.zarr.scratch\n\nfreed  3.0 MiB\n"
    assert (done.exit_code, done.stdout, api.calls[0].args) == (0, out, ("b.zarr",))


def test_discard_json(run, api):
    """--json is the report."""
    api.answers["discard"] = Report(REMOVED)
    assert json.loads(run("discard", "b.zarr", "--json").stdout) == REMOVED
