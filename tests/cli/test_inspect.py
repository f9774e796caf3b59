"""The commands info, verify and digest."""

import json

import pytest

from tests.cli.reports import Report

NODE = {
    "path": "flux",
    "shape": [500, 20],
    "dtype": "float64",
    "chunks": [1, 20],
    "shards": [500, 20],
    "codecs": "zstd(0)+crc32c",
    "fill_value": "0.0",
    "dims": ["object", "epoch"],
    "nbytes": 80_000,
}
INFO = {
    "location": "/data/a.zarr",
    "zarr_format": 3,
    "consolidated": True,
    "arrays": [NODE],
    "groups": ["", "meta"],
    "drafts": [],
    "notes": [],
}
DRAFT = {"target": "/data/b.zarr", "blocks_done": 3, "blocks_total": 8, "bytes": 2048, "running": False}
PROBLEM = {"code": "values", "path": "flux", "message": "differs in (0:1, 3:4)"}


def verified(*problems):
    data = {"equal": not problems, "problems": list(problems), "arrays": 2, "seconds": 1.5}
    return Report(data, equal=not problems)


def test_info_shows_the_arrays(run, api):
    """One row per array with its layout."""
    api.answers["info"] = Report(INFO)
    done = run("info", "a.zarr")
    assert api.calls[0].args == ("a.zarr",)
    assert done.stdout.splitlines() == [
        "location  /data/a.zarr",
        "format    Zarr v3, consolidated",
        "groups    /, meta",
        "",
        "array  shape                 dtype    chunks   shards     codecs          fill      size",
        "flux   object=500, epoch=20  float64  (1, 20)  (500, 20)  zstd(0)+crc32c  0.0   78.1 KiB",
    ]


def test_info_shows_keys_and_stored_bytes_where_they_are_known(run, api):
    """Columns that the report does not fill are left out, filled ones are there."""
    api.answers["info"] = Report(INFO | {"arrays": [NODE | {"keys_stored": 3, "bytes_stored": 2048}]})
    lines = run("info", "a.zarr").stdout.splitlines()
    assert lines[4].endswith("keys   stored")
    assert lines[5].endswith("   3  2.0 KiB")


def test_info_shows_what_unfinished_runs_have_left(run, api):
    """A leftover draft comes with what to do about it."""
    api.answers["info"] = Report(INFO | {"drafts": [DRAFT]})
    assert "draft     /data/b.zarr, 3 of 8 blocks done, 2.0 KiB (unfinished: run" in run("info", "a.zarr").stdout


def test_info_names_the_root_array(run, api):
    """An array that is the whole store has the path /."""
    api.answers["info"] = Report(INFO | {"arrays": [NODE | {"path": "", "dims": None, "shards": None}]})
    assert run("info", "a").stdout.splitlines()[-1].split()[0] == "/"


def test_verify_of_equal_stores(run, api):
    """Exit code 0 and the verdict."""
    api.answers["verify"] = verified()
    done = run("verify", "a", "b", "--max-mem", "64MiB")
    assert (api.calls[0].args, api.calls[0].options["max_mem"]) == (("a", "b"), "64MiB")
    assert (done.exit_code, done.stdout) == (0, "equal, 2 arrays compared in 1.50 s\n")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_verify_of_different_stores(run, api, options):
    """Exit code 3, and the problems on standard output."""
    api.answers["verify"] = verified(PROBLEM)
    done = run("verify", "a", "b", *options)
    assert (done.exit_code, done.stderr) == (3, "")
    assert "differs in (0:1, 3:4)" in done.stdout
    if options:
        assert json.loads(done.stdout)["equal"] is False
    else:
        assert done.stdout.splitlines()[-1] == "not equal: 1 problem, 2 arrays compared in 1.50 s"


DIGEST = Report({"digest": "ab12", "arrays": {"flux": "cd", "": "ef"}}, digest="ab12")


def test_digest_prints_the_digest_alone(run, api):
    """So that two digests compare in a shell."""
    api.answers["digest_report"] = DIGEST
    done = run("digest", "a", "--array", "flux")
    assert (done.exit_code, done.stdout) == (0, "ab12\n")
    assert api.calls[0].options["arrays"] == ["flux"]


def test_digest_of_each_array(run, api):
    """--each lists the arrays before the whole."""
    api.answers["digest_report"] = DIGEST
    assert run("digest", "a", "--each").stdout == "cd  flux\nef  /\n\nab12\n"


def test_digest_json(run, api):
    """--json holds both."""
    api.answers["digest_report"] = DIGEST
    assert json.loads(run("digest", "a", "--json").stdout) == DIGEST.data
