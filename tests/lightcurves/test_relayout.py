"""lightcurves/relayout.py: incremental, verified, and right for every reader at every moment."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.lightcurves.survey import OBJECTS, Survey, make_epoch, time_of
from zarrmill.errors import BlockFailedError, LockedError, VerifyError
from zarrmill.lightcurves import fold, relayout
from zarrmill.lightcurves.lock import Lock
from zarrmill.lightcurves.options import CreateOptions


def shards_of(survey: Survey) -> dict[str, tuple[int | None, int | None, str | None]]:
    """Every shard with what changes when it is written."""
    infos = survey.storage._view.keys.list("by_object")
    return {i.key: (i.nbytes, i.modified_ns, i.etag) for i in infos if not i.key.endswith("zarr.json")}


def test_only_the_block_that_changed_is_written(make_survey) -> None:
    """One more epoch costs the shards of its block, whatever there is before it."""
    survey = make_survey()
    survey.add(0, 1, 2, 3)
    survey.storage.relayout()
    before = shards_of(survey)
    survey.add(4)
    report = survey.storage.relayout()
    after = shards_of(survey)

    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {key for key in after if key.endswith(".1")}
    assert report.shards == len(changed) == 3 * 3
    survey.check()


def test_work_does_not_grow_with_the_history(make_survey) -> None:
    """The requests of an incremental relayout are the same after 3 blocks as after 1."""
    survey = make_survey(n_epochs=12)
    requests = []
    for block in range(4):
        survey.add(3 * block)
        survey.storage.relayout()
        survey.add(3 * block + 1)
        counts = survey.storage._view.keys.counts
        before = counts.snapshot()
        survey.storage.relayout()
        used = counts.snapshot() - before
        requests.append((used.puts, used.gets))

    assert len(set(requests)) == 1, requests


class Stop(BaseException):
    """A process that ends here."""


def stop_after(monkeypatch, calls: int, action=None) -> None:
    """Have a relayout end, as if it was killed, after so many shards."""
    real, count = fold._ShardFold.write, [0]

    def write(self, values):
        if count[0] == calls:
            if action:
                action()
            raise Stop
        count[0] += 1
        return real(self, values)

    monkeypatch.setattr(fold._ShardFold, "write", write)


# A block is nine shards: none, some, all of the first, and some of the second.
@pytest.mark.parametrize(
    "calls",
    [0, 4, 9, 13, *(pytest.param(calls, marks=pytest.mark.soak) for calls in (1, 8))],
    ids="after {} shards".format,
)
def test_a_relayout_that_ends_anywhere_leaves_a_right_store(survey: Survey, monkeypatch, calls) -> None:
    """Readers who had the store open, and new ones, read the same; the next relayout completes it."""
    survey.add(0, 1, 3)
    survey.storage.relayout()
    survey.add(2, 4)
    other = survey.reopened()
    survey.check(0, 40, storage=other)
    with monkeypatch.context() as patch:
        stop_after(patch, calls)
        with pytest.raises(Stop):
            survey.storage.relayout()
    survey.check()
    survey.check(storage=other)
    survey.check(storage=survey.reopened())
    survey.storage.relayout()
    survey.check()
    survey.check(storage=other)
    assert survey.storage.verify().sound


def test_a_finished_block_is_kept(survey: Survey, monkeypatch) -> None:
    """Blocks of epochs are recorded one by one: what was finished before the end is not done again."""
    survey.add(0, 3)
    with monkeypatch.context() as patch:
        stop_after(patch, 10)
        with pytest.raises(Stop):
            survey.storage.relayout()
    assert survey.storage.info().folded == 1
    assert survey.storage.relayout().epochs == 1
    survey.check()


def test_values_are_right_while_shards_are_replaced(survey: Survey, monkeypatch) -> None:
    """After each shard that is written, an old reader and a new one get what was ingested."""
    survey.add(0, 1)
    survey.storage.relayout()
    survey.add(2, 3)
    other, real, seen = survey.reopened(), fold._ShardFold.write, []

    def write_and_look(self, values):
        nbytes = real(self, values)
        survey.check(0, 31, 32, 69, storage=other)
        survey.check(5, 64, storage=survey.reopened())
        seen.append(nbytes)
        return nbytes

    survey.check(storage=other)
    monkeypatch.setattr(fold._ShardFold, "write", write_and_look)
    survey.storage.relayout(executor="serial")
    assert len(seen) == 18
    other.refresh()
    survey.check(storage=other)


def test_a_kept_index_never_finds_the_chunk_of_another_object(place) -> None:
    """Chunks of equal length move when more objects have values: a reader that kept the index notices the new shard."""
    # Without compression all chunks have one length; and half of the objects have no values at first.
    survey = Survey.create(place, n_epochs=3, options=CreateOptions(epoch_block=3, shard_objects=32, codecs="none"))
    for index in (0, 1):
        flux = np.random.default_rng(index).integers(1, 2**22, size=(OBJECTS, 2)).astype(np.float32)
        if index == 0:
            flux[1::2] = np.nan
        survey.epochs[index] = {"flux": flux, "flux_err": flux}
    survey.add(0)
    survey.storage.relayout()
    other = survey.reopened()
    survey.check(storage=other)
    other._view.fresh = 1e9
    before = {**survey.epochs[0]}
    survey.add(1)
    survey.storage.relayout()
    for number in (*range(2, OBJECTS, 2), *range(OBJECTS)):
        curve = other.get_lightcurve(number)
        np.testing.assert_array_equal(curve["flux"], before["flux"][number][None])


def test_damage_on_the_way_is_not_recorded(survey: Survey, monkeypatch) -> None:
    """Values that change between ingest and shard are found by the digest, and the epochs stay where they are."""
    survey.add(0, 1)
    real = fold._ShardFold.gather

    def damage(self):
        values = real(self)
        if self._field.name == "flux" and self._start == 32:
            values[3, 0, 1] += 1
        return values

    monkeypatch.setattr(fold._ShardFold, "gather", damage)
    with pytest.raises(VerifyError, match="block 0 of flux has the digest"):
        survey.storage.relayout()
    survey.check()
    assert survey.storage.info().folded == 0


def test_what_is_stored_is_read_back(survey: Survey, monkeypatch) -> None:
    """A shard that is not stored as it was written fails at once."""
    survey.add(0)
    kind = type(survey.storage._view.keys)
    real = kind.get
    monkeypatch.setattr(kind, "get", lambda self, key: _wrong(real(self, key), key))
    with pytest.raises(BlockFailedError, match="what is stored is not what was written"):
        survey.storage.relayout(executor="serial")


def _wrong(data, key):
    """Return an older shard in place of the one that is asked for."""
    return data if "c.0." not in key or "flux_err" not in key or "by_epoch" in key else None


def test_only_one_relayout_at_a_time(survey: Survey) -> None:
    """A second one is told, and nothing is changed; reading and adding epochs go on."""
    survey.add(0)
    with Lock(survey.storage._view.keys):
        with pytest.raises(LockedError, match="is being changed by process"):
            survey.reopened().relayout()
        survey.add(1)
        survey.check()
    assert survey.reopened().relayout().epochs == 2


def test_epochs_that_come_during_a_relayout_are_kept(survey: Survey, monkeypatch) -> None:
    """An epoch that is added while shards are written is readable at once and folded by the next relayout."""
    survey.add(0)
    real, added = fold._ShardFold.write, threading.Event()

    def write(self, values):
        if not added.is_set():
            added.set()
            survey.add(1)
        return real(self, values)

    monkeypatch.setattr(fold._ShardFold, "write", write)
    assert survey.storage.relayout().epochs == 1
    survey.check()
    assert survey.storage.relayout().epochs == 1
    survey.check()


def test_a_replacement_waits_for_a_relayout(survey: Survey, monkeypatch) -> None:
    """What is said to be replaced while its old content is being folded is what is read afterwards."""
    survey.add(0, 1)
    other, real, outcomes = survey.reopened(), fold._ShardFold.write, []

    def replace():
        outcomes.append(other.populate_epoch(0, survey.epochs[5], time=time_of(0), replace=True).outcome)

    thread = threading.Thread(target=replace)

    def write(self, values):
        if thread.ident is None:
            thread.start()
            thread.join(0.3)
        return real(self, values)

    monkeypatch.setattr(fold._ShardFold, "write", write)
    assert survey.storage.relayout(executor="serial").epochs == 2
    thread.join()
    assert outcomes == ["replaced"]
    survey.epochs[0] = survey.epochs[5]
    survey.check(storage=survey.reopened())
    assert survey.reopened().verify().sound


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_executors_do_the_same(make_survey, executor) -> None:
    """Blocks run in any executor."""
    survey = make_survey()
    survey.add(0, 1, 4)
    survey.storage.relayout(executor=executor, workers=2)
    survey.check()
    assert survey.storage.verify().sound


def test_objects_that_come_later_are_not_ingested_before(survey: Survey) -> None:
    """New objects have no values at earlier epochs, folded or not, and take part in later ones."""
    survey.add(0, 1)
    survey.storage.relayout()
    survey.add(3)
    survey.storage.add_objects(50)
    late = make_epoch(2, n_objects=OBJECTS + 50)
    survey.storage.populate_epoch(2, late, time=time_of(2))
    for _ in range(2):
        for number in (OBJECTS, 95, 119):
            curve = survey.storage.get_lightcurve(number)
            assert curve.status[[0, 1, 3]].max() == 0
            np.testing.assert_array_equal(curve["flux"][2], late["flux"][number])
        curve = survey.storage.get_lightcurve(5)
        np.testing.assert_array_equal(curve["flux"][3], survey.epochs[3]["flux"][5])
        bulk = survey.storage.get_lightcurves([5, 119, 70])
        np.testing.assert_array_equal(bulk["flux"][1, 2], late["flux"][119])
        assert bulk.status[2, 0].tolist() == [0, 0]
        survey.storage.relayout()
    assert survey.storage.verify().sound


def test_a_reader_with_an_old_record_reads_on_after_a_prune(survey: Survey) -> None:
    """Epochs that are gone where an old snapshot has them are found again by a new one."""
    survey.add(0, 1)
    other = survey.reopened()
    survey.check(3, storage=other)
    other._view.fresh = 1e9
    survey.storage.relayout()
    survey.storage.prune()
    survey.check(3, 40, storage=other)


def test_digest_of_the_whole_cube_is_that_of_what_was_ingested(make_survey) -> None:
    """The object layout, read by others, has the digest of the epochs stacked by numpy."""
    from zarrmill import digest

    survey = make_survey(n_epochs=3)
    survey.add(0, 1, 2)
    survey.storage.relayout()
    cube = np.stack([survey.epochs[i]["flux"] for i in range(3)], axis=-1)
    import zarr

    zarr.create_array(f"{survey.path}-numpy", data=cube)
    assert digest(f"{survey.path}/by_object/flux") == digest(f"{survey.path}-numpy")
    assert relayout.SLACK_SECONDS > 0


@pytest.mark.parametrize("moment", ["list_epochs", "load_record", "load_table", "load_epoch"])
def test_a_snapshot_never_misses_an_epoch(survey: Survey, monkeypatch, moment) -> None:
    """Epochs that are folded and pruned while somebody looks are in the snapshot, whenever that happens."""
    from zarrmill.lightcurves import snapshot

    survey.add(0, 1)
    survey.storage.relayout()
    survey.add(2, 3)
    other, real, done = survey.reopened(), getattr(snapshot, moment), []

    def look(*args, **options):
        found = real(*args, **options)
        if not done:
            done.append(moment)
            survey.storage.relayout()
            survey.storage.prune()
        return found

    monkeypatch.setattr(snapshot, moment, look)
    survey.check(5, storage=other)
    survey.check(5, 40, storage=other)
    assert done


def test_a_block_that_outlives_its_run_writes_nothing(survey: Survey, monkeypatch) -> None:
    """On other machines a block may still be at work when its run is over: it replaces no shard any more."""
    from concurrent.futures import ThreadPoolExecutor

    from zarrmill.execute import executors
    from zarrmill.lightcurves import fold_run
    from zarrmill.plan.model import BlockResult

    class Elsewhere(ThreadPoolExecutor):
        """Like an executor of other machines."""

    survey.add(0)
    kept, real = [], fold_run.run

    def run_and_keep(plan, operation, **options):
        kept.append((operation, next(plan.stages[0].blocks())))
        return real(plan, operation, **options)

    def place_elsewhere(executor, workers=None):
        return executors.Placement(lambda: executor, processes=2, threads=1, in_process=False, owned=False, fenced=True)

    monkeypatch.setattr(fold_run, "run", run_and_keep)
    monkeypatch.setattr("zarrmill.lightcurves.storage.place", place_elsewhere)
    with Elsewhere(2) as pool:
        assert survey.storage.relayout(executor=pool).epochs == 1
    survey.check()
    before = shards_of(survey)
    operation, block = kept[0]
    with pytest.raises((FileNotFoundError, LockedError)):
        assert isinstance(operation(block, lambda _: None), BlockResult)
    assert shards_of(survey) == before
    survey.check()
