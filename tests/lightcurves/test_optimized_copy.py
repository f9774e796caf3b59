"""lightcurves/optimized_copy.py: a copy in the object layout alone."""

from __future__ import annotations

import pytest

from tests.lightcurves.survey import Survey
from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.lightcurves import fold
from zarrmill.lightcurves.storage import LightcurveStorage


def test_copy_of_folded_and_other_epochs(survey: Survey) -> None:
    """All values are there, nothing as it came in, and the copy goes on growing."""
    survey.add(0, 1, 4)
    survey.storage.relayout()
    survey.add(2, 5)
    fast = survey.storage.rechunk_to_object_optimized(f"{survey.path}-fast", n_epochs=6)

    survey.check(storage=fast)
    assert fast.info().pending == 0
    assert fast.verify().sound
    survey.check()
    fast.populate_epoch(3, survey.epochs[3], time=60_003.0)
    survey.added.add(3)
    survey.check(storage=fast)
    fast.relayout()
    survey.check(storage=LightcurveStorage.open(f"{survey.path}-fast"))


def test_first_epochs_only(survey: Survey) -> None:
    """``n_epochs`` counts positions of the axis; later ones stay behind."""
    survey.add(0, 1, 2, 3)
    survey.storage.relayout()
    survey.add(4, 5)
    fast = survey.storage.rechunk_to_object_optimized(f"{survey.path}-fast", n_epochs=2)

    survey.added = {0, 1}
    survey.check(storage=fast)
    assert fast.info().max_epochs == 2
    assert fast.verify().sound


@pytest.mark.parametrize("where", ["itself", "inside", "around"])
def test_output_that_is_the_store_is_refused(place, where) -> None:
    """Nothing is changed when the output is, lies in or holds the store."""
    survey = Survey.create(f"{place}/folder/survey")
    survey.add(0)
    path = f"{place}/folder" + {"itself": "/survey", "inside": "/survey/by_object", "around": ""}[where]
    with pytest.raises(InvalidInputError, match=f"output path .* {where}"):
        survey.storage.rechunk_to_object_optimized(path)
    survey.check()


def test_output_that_exists_is_refused(survey: Survey) -> None:
    """What is there stays."""
    survey.add(0)
    survey.storage.rechunk_to_object_optimized(f"{survey.path}-fast")
    with pytest.raises(AlreadyExistsError, match="there is a store"):
        survey.storage.rechunk_to_object_optimized(f"{survey.path}-fast")
    survey.check(storage=LightcurveStorage.open(f"{survey.path}-fast"))


def test_a_copy_that_ends_half_way_is_no_store(survey: Survey, monkeypatch) -> None:
    """Nothing opens before it is whole, and the same call completes it."""
    survey.add(0, 3)
    with monkeypatch.context() as patch:
        patch.setattr(fold._ShardFold, "verify", _end)
        with pytest.raises(KeyboardInterrupt):
            survey.storage.rechunk_to_object_optimized(f"{survey.path}-fast")
    with pytest.raises(FileNotFoundError):
        LightcurveStorage.open(f"{survey.path}-fast")
    survey.check(storage=survey.storage.rechunk_to_object_optimized(f"{survey.path}-fast"))


def _end(*_: object) -> None:
    raise KeyboardInterrupt


def test_progress_is_told(survey: Survey) -> None:
    """A client gets the messages of a run."""
    survey.add(0)
    messages: list[object] = []
    survey.storage.rechunk_to_object_optimized(f"{survey.path}-fast", progress=messages.append)

    names = [type(message).__name__ for message in messages]
    assert names[0] == "RunStarted"
    assert names[-1] == "RunFinished"
    assert names.count("BlockFinished") == 9
