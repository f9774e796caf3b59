"""The commands rechunk and plan."""

import json

import pytest

from tests.cli.reports import PLANNED, RECHUNKED, Report
from zarrmill.progress import StepStarted, silent

DEFAULTS = {
    "chunks": {"object": 1, "epoch": -1},
    "shards": "auto",
    "codecs": "keep",
    "max_mem": "1GiB",
    "executor": None,
    "workers": None,
    "verify": "full",
    "checksum": True,
    "arrays": None,
    "storage_options": None,
}
ONLY_RECHUNK = {"scratch": None, "sync": True, "resume": True, "overwrite": False, "update": False}


PLAN = Report(PLANNED)


def called(api):
    (call,) = api.calls
    return call.args, {name: value for name, value in call.options.items() if name != "progress"}


def test_rechunk_passes_its_defaults(run, api):
    """Without options the call is that of the Python function."""
    api.answers["rechunk"] = Report(RECHUNKED)
    assert run("rechunk", "a.zarr", "b.zarr", "--chunks", "object=1,epoch=-1").exit_code == 0
    assert called(api) == (("a.zarr", "b.zarr"), DEFAULTS | ONLY_RECHUNK)


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        (["--chunks", "flux:1,-1", "--chunks", "meta/q:100"], {"chunks": {"flux": (1, -1), "meta/q": (100,)}}),
        (["--chunks", "1,-1,2"], {"chunks": (1, -1, 2)}),
        ([], {"chunks": None}),
        (["--shards", "object=1000"], {"shards": {"object": 1000}}),
        (["--shards", "none"], {"shards": None}),
        (["--codec", "zstd:5"], {"codecs": "zstd:5"}),
        (["--max-mem", "2GiB"], {"max_mem": "2GiB"}),
        (["--executor", "processes", "--workers", "4"], {"executor": "processes", "workers": 4}),
        (["--executor", "tcp://host:8786"], {"executor": "tcp://host:8786"}),
        (["--scratch", "/tmp/x"], {"scratch": "/tmp/x"}),
        (["--verify", "written"], {"verify": "written"}),
        (["--no-sync", "--no-checksum", "--no-resume"], {"sync": False, "checksum": False, "resume": False}),
        (["--overwrite"], {"overwrite": True}),
        (["--update"], {"update": True}),
        (["--array", "flux", "--array", "time"], {"arrays": ["flux", "time"]}),
        (["--storage-option", "source.region=x"], {"storage_options": {"source": {"region": "x"}}}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_rechunk_passes_its_options(run, api, options, passed):
    """Each option is one argument of the function."""
    api.answers["rechunk"] = Report(RECHUNKED)
    done = run("rechunk", "a", "b", *options)
    assert done.exit_code == 0, done.stderr
    assert called(api)[1] == DEFAULTS | ONLY_RECHUNK | {"chunks": None} | passed


def test_rechunk_shows_what_was_done(run, api):
    """Layout before and after, sizes, peak memory against the limit, what was resumed, verified and noted."""
    api.answers["rechunk"] = Report(RECHUNKED)
    assert run("rechunk", "a", "b").stdout.splitlines() == [
        "array  shape          dtype    from       to                         route",
        "flux   (50000, 1200)  float32  (5000, 1)  (1, 1200) in (1000, 1200)  direct",
        "",
        "target       b.zarr",
        "size         2.0 GiB, 50 keys, 7 left out that hold only the fill value",
        "time         8.00 s",
        "peak memory  512.0 MiB of 1.0 GiB",
        "read         3.0 GiB, 100 source chunks, each 1.50 times",
        "written      5.0 GiB",
        "blocks       1,200, 20 of them by an earlier run",
        "verified     every value read back, digest ab12",
        "",
        "note: flux: fill_value null became 0.0",
    ]


def test_rate_of_a_run_that_did_everything(run, api):
    """Decoded bytes of the source by the time, which a resumed run cannot say."""
    api.answers["rechunk"] = Report(RECHUNKED | {"resumed_blocks": 0})
    out = run("rechunk", "a", "b").stdout
    assert "time         8.00 s, 512.0 MiB/s\n" in out
    assert "blocks       1,200\n" in out


def test_rechunk_json_is_the_report(run, api):
    """Standard output holds one JSON document, progress stays on standard error."""
    api.answers["rechunk"] = Report(RECHUNKED)
    done = run("rechunk", "a", "b", "--json")
    assert json.loads(done.stdout) == RECHUNKED


def test_rechunk_shows_progress_on_standard_error(run, monkeypatch, api):
    """--progress json writes messages to standard error only."""
    import zarrmill

    def rechunk(source, target, *, progress, **options):
        progress(StepStarted(name="publish"))
        return Report(RECHUNKED)

    monkeypatch.setattr(zarrmill, "rechunk", rechunk)
    done = run("rechunk", "a", "b", "--progress", "json", "--json")
    assert json.loads(done.stderr) == {"message": "step_started", "name": "publish"}
    assert json.loads(done.stdout) == RECHUNKED


def test_rechunk_without_progress(run, api):
    """--progress none passes the silent client."""
    api.answers["rechunk"] = Report(RECHUNKED)
    done = run("rechunk", "a", "b", "--progress", "none")
    assert api.calls[0].options["progress"] is silent
    assert done.stderr == ""


def test_wrong_sizes_are_wrong_use(run, api):
    """Sizes that do not parse: exit code 2, nothing called."""
    done = run("rechunk", "a", "b", "--chunks", "object")
    assert (done.exit_code, api.calls) == (2, [])
    assert done.stderr.startswith("error: 'object' is not a list of sizes.")


@pytest.mark.parametrize(
    ("target", "passed"), [([], None), (["b.zarr"], "b.zarr")], ids=["without target", "with target"]
)
def test_plan_passes_its_arguments(run, api, target, passed):
    """A plan needs no target, and takes what rechunk takes."""
    api.answers["estimate"] = PLAN
    done = run("plan", "a.zarr", *target, "--chunks", "object=1,epoch=-1")
    assert done.exit_code == 0, done.stderr
    assert called(api) == (("a.zarr", passed), DEFAULTS | {"calibrate": True, "prices": None})


@pytest.mark.parametrize(
    ("options", "calibrated", "says"),
    [([], True, "about 1 min 30 s"), (["--no-calibrate"], False, "not measured")],
    ids=["calibrated", "not calibrated"],
)
def test_plan_estimates_the_time_when_wanted(run, api, options, calibrated, says):
    """The estimate comes from a measurement, unless that is switched off."""
    api.answers["estimate"] = Report(PLANNED | {"estimated_seconds": 90.0 if calibrated else None})
    done = run("plan", "a", *options)
    assert api.calls[0].options["calibrate"] is calibrated
    assert f"estimated time    {says}" in done.stdout


def test_plan_shows_everything_that_it_costs(run, api):
    """Passes, stages, bytes, keys, re-reads, memory per process, scratch space."""
    api.answers["estimate"] = PLAN
    out = run("plan", "a").stdout
    for line in (
        "flux   read   (5000, 100)   (5000, 100)        8  256.0 MiB",
        "flux   write  (1000, 1200)  (1000, 1200)       4  128.0 MiB",
        "read into scratch       8  1.0 GiB",
        "projected memory  256.0 MiB of 1.0 GiB in each of 2 processes",
        "read              3.0 GiB, every source chunk 1.25 times",
        "written           2.0 GiB, 50 keys",
        "scratch space     3.0 GiB",
        "blocks            12",
    ):
        assert line in out


def test_plan_with_many_stages_leaves_their_table_out(run, api):
    """Hundreds of boxes in turn are the same passes again and again."""
    stages = [{"name": f"box {n}", "blocks": 1, "bytes": 1} for n in range(100)]
    api.answers["estimate"] = Report(PLANNED | {"stages": stages})
    assert "box" not in run("plan", "a").stdout


def test_plan_json_is_the_report(run, api):
    """--json gives the same."""
    api.answers["estimate"] = PLAN
    assert json.loads(run("plan", "a", "--json", "--no-calibrate").stdout) == PLANNED


UPDATED = {
    "source": "a.zarr",
    "target": "b.zarr",
    "published": True,
    "current": False,
    "blocks": 1,
    "kept_blocks": 3,
    "nbytes": 2**20,
    "projected_mem": 2**28,
    "max_mem": 2**30,
    "processes": 1,
    "arrays": [
        {
            "path": "flux",
            "source_keys": 24,
            "changed_keys": 1,
            "changed": ["object 0:60", "epoch 9:10"],
            "blocks": 1,
            "kept_blocks": 3,
            "nbytes": 2**20,
        }
    ],
    "notes": [],
}


def test_plan_of_an_update_passes_its_arguments(run, api):
    """What rechunk --update takes, but for how it is verified."""
    api.answers["plan_update"] = Report(UPDATED)
    done = run("plan", "a.zarr", "b.zarr", "--chunks", "object=1,epoch=-1", "--update")
    asked = {name: value for name, value in DEFAULTS.items() if name != "verify"}
    assert done.exit_code == 0, done.stderr
    assert called(api) == (("a.zarr", "b.zarr"), asked)


def test_plan_of_an_update_shows_what_is_done_again(run, api):
    """How much of each array is new, where that is, and the blocks that read it."""
    api.answers["plan_update"] = Report(UPDATED)
    assert run("plan", "a", "b", "--update").stdout.splitlines() == [
        "array  new source keys  where                    blocks  kept    moved",
        "flux   1 of 24          object 0:60, epoch 9:10       1     3  1.0 MiB",
        "",
        "target            b.zarr",
        "blocks            1 done again, 3 kept",
        "moved             1.0 MiB",
        "projected memory  256.0 MiB of 1.0 GiB",
    ]
    api.answers["plan_update"] = Report(UPDATED | {"current": True, "published": False})
    out = run("plan", "a", "b", "--update").stdout
    assert "up to date: nothing is to be done" in out
    assert "not there yet: all is done" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "Name the TARGET"), (["b", "--out", "p.json"], "--out"), (["b", "--price", "get=1"], "--price")],
    ids=["no target", "with --out", "with --price"],
)
def test_plan_of_an_update_that_makes_no_sense(run, api, words, said):
    """Wrong use, before anything is looked at."""
    done = run("plan", "a", *words, "--update")
    assert (done.exit_code, api.calls) == (2, [])
    assert said in done.stderr
