"""Which sessions a run takes."""

from pathlib import Path

import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.identities import Cleaner
from zarrmill.recordings.records import History
from zarrmill.recordings.selection import Selection, select
from zarrmill.recordings.session import Session

STATES = {"done": ["success"], "bad": ["failed"], "empty": ["skipped"], "spoilt": ["success", "failed"]}
HISTORIES = {name: History(tuple((str(i), s) for i, s in enumerate(ended))) for name, ended in STATES.items()}
KEYS = LocalKeys(Path("/nowhere"))
SESSIONS = [Session(n, 10, KEYS, f"{n}.h5", Cleaner(n, n)) for n in ("bad", "done", "empty", "fresh", "spoilt")]


def chosen(**request) -> list[str]:
    return [session.session_id for session in select(SESSIONS, HISTORIES, Selection(**request)).sessions]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, ["bad", "fresh"]),
        ({"only": ["new"]}, ["fresh"]),
        ({"only": ["failed"]}, ["bad"]),
        ({"only": ["skipped"]}, ["empty"]),
        ({"only": ["new", "skipped"]}, ["empty", "fresh"]),
        ({"only": ["all"]}, ["bad", "done", "empty", "fresh", "spoilt"]),
        ({"names": ["done", "fresh"]}, ["done", "fresh"]),
        ({"names": ["done.h5"]}, ["done"]),
        ({"names": ["done", "bad"], "only": ["failed"]}, ["bad"]),
        ({"only": ["all"], "max_items": 2}, ["bad", "done"]),
        ({"max_items": 1}, ["bad"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_request_means_these_sessions(request_: dict, expected: list):
    """By state, by name, both, and a limit."""
    assert chosen(**request_) == expected


def test_names_that_no_session_has_are_counted():
    """The others are taken all the same."""
    found = select(SESSIONS, HISTORIES, Selection(names=["done", "nobody"]))

    assert ([s.session_id for s in found.sessions], found.missing, found.found) == (["done"], 1, 5)


def test_a_session_goes_by_its_old_id_and_its_new_one():
    """Whoever types either means the same."""
    session = Session("p1", 1, KEYS, "Ada L.h5", Cleaner("Ada L", "p1"))

    for name in ("Ada L", "Ada L.h5", "p1", "p1.h5"):
        assert select([session], {}, Selection(names=[name])).sessions == (session,)


def test_an_id_wins_over_the_name_of_another_file():
    """``x.h5`` is the session of that id, where there is one, and not the file of the session ``x``."""
    sessions = [Session(n, 1, KEYS, f"{n}.h5", Cleaner(n, n)) for n in ("x", "x.h5")]

    assert [s.session_id for s in select(sessions, {}, Selection(names=["x.h5"])).sessions] == ["x.h5"]


def test_a_selection_tells_states_and_sizes():
    """What a dry run shows."""
    found = select(SESSIONS, HISTORIES, Selection())

    assert found.states == {"bad": "failed", "fresh": "new"}
    assert found.found_by_state == {"failed": 1, "new": 1, "skipped": 1, "success": 2}
    assert found.nbytes == 20


@pytest.mark.parametrize("wrong", [{"only": ["skiped"]}, {"max_items": 0}], ids=["state", "number"])
def test_a_request_that_cannot_be_meant_is_refused(wrong: dict):
    """The words that there are stand in the message."""
    with pytest.raises(InvalidInputError, match=r"new, failed, skipped, all|1 or more"):
        Selection(**wrong)
