"""Several processes at one store: no value is lost, and whoever comes second is told."""

from __future__ import annotations

import numpy as np

from tests.lightcurves.processes import finish, start
from tests.lightcurves.survey import Survey, make_epoch, time_of

EPOCHS = 8


def test_writers_of_different_epochs_while_others_fold_and_read(shared) -> None:
    """Two writers, one that folds and prunes, and a reader: every value is there, and no reader ever saw another."""
    survey = Survey.create(**shared, n_epochs=EPOCHS)
    writers = [start(survey, "add", epochs=range(first, EPOCHS, 2)) for first in (0, 1)]
    folder = start(survey, "relayout", epochs=range(EPOCHS))
    reader, seen = survey.reopened(), 0
    reader._view.fresh = 0.0
    while folder.poll() is None:
        for number in (0, 31, 32, 69):
            curve = reader.get_lightcurve(number)
            seen = max(seen, len(curve))
            for row, index in enumerate(curve.epoch.tolist()):
                np.testing.assert_array_equal(curve["flux"][row], survey.epochs[index]["flux"][number])
                assert curve.time[row] == time_of(index)
    lines = [finish(process) for process in (*writers, folder)]

    assert all(each[-1] == ["done"] for each in lines)
    assert all(words[0] == "added" for each in lines[:2] for words in each[:-1])
    survey.added = set(range(EPOCHS))
    survey.check(storage=survey.reopened())
    assert survey.reopened().verify().sound
    assert seen > 0


def test_writers_of_the_same_epochs(shared) -> None:
    """Of two writers with different content one adds an epoch and the other is told; values are never mixed."""
    survey = Survey.create(**shared, n_epochs=EPOCHS)
    seeds = (0, 1000)
    processes = [start(survey, "add", seed=seed, epochs=range(EPOCHS)) for seed in seeds]
    outcomes = [{int(words[1]): words[0] for words in finish(process)[:-1]} for process in processes]
    curves = survey.reopened().get_lightcurves(np.arange(70))

    assert curves.epoch.tolist() == list(range(EPOCHS))
    for index in range(EPOCHS):
        assert sorted(outcome[index] for outcome in outcomes) == ["added", "refused"]
        winner = seeds[[outcome[index] for outcome in outcomes].index("added")]
        np.testing.assert_array_equal(curves["flux"][:, index], make_epoch(winner + index)["flux"])


def test_writers_of_the_same_content(shared) -> None:
    """Two writers with the same content harm nothing: every epoch is there once."""
    survey = Survey.create(**shared, n_epochs=EPOCHS)
    processes = [start(survey, "everything", epochs=range(EPOCHS)) for _ in range(2)]
    survey.added = set(range(EPOCHS))
    for process in processes:
        finish(process)
    survey.storage.relayout()
    survey.check(storage=survey.reopened())
    assert survey.reopened().verify().sound
