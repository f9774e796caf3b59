"""What a process of its own does to a survey: `python -m tests.lightcurves.worker PATH ACTION SEED EPOCH …`."""

from __future__ import annotations

import json
import os
import sys

from tests.lightcurves.survey import make_epoch, time_of
from zarrmill.errors import AlreadyExistsError, LockedError
from zarrmill.lightcurves.storage import LightcurveStorage

RELAYOUT_EVERY, PRUNE_EVERY = 2, 3


def main(path: str, action: str, seed: int, epochs: list[int]) -> None:
    """Do the action and tell of each step on a line."""
    storage = LightcurveStorage.open(path, storage_options=json.loads(os.environ["STORAGE_OPTIONS"]))
    print("started", flush=True)
    if action == "relayout":
        return relayout_until_all_are_folded(storage, len(epochs))
    for count, index in enumerate(epochs, 1):
        print(add(storage, index, seed), index, flush=True)
        if action == "everything" and count % RELAYOUT_EVERY == 0:
            storage.relayout()
        if action == "everything" and count % PRUNE_EVERY == 0:
            storage.prune()
    print("done", flush=True)
    return None


def add(storage: LightcurveStorage, index: int, seed: int) -> str:
    """Add an epoch, whose values follow from seed and index; return what became of it."""
    objects = storage.info().objects
    try:
        return storage.populate_epoch(index, make_epoch(seed + index, n_objects=objects), time=time_of(index)).outcome
    except AlreadyExistsError:
        return "refused"


def relayout_until_all_are_folded(storage: LightcurveStorage, epochs: int) -> None:
    """Fold what comes, again and again."""
    while storage.info().folded < epochs:
        try:
            storage.relayout()
            storage.prune()
        except LockedError:
            continue
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(word) for word in sys.argv[4:]])
