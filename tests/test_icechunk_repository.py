"""icechunk_repository.py: what a location says, what is read of it, and what a transaction promises."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import icechunk
import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore, StorePath

from zarrmill.errors import InvalidInputError, NotFoundError, PublishError
from zarrmill.icechunk_repository import (
    OLDEST,
    TOO_NEW,
    Place,
    _s3_settings,
    is_icechunk,
    open_snapshot,
    open_transaction,
    place_to_write,
)
from zarrmill.store import open_store

ARRAY = {"shape": (4,), "dtype": "i4"}


def create(path):
    icechunk.set_logs_filter("error")
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "survey"


@pytest.fixture
def repository(folder):
    """A repository with the node a, tagged v1, and then b."""
    made = create(folder)
    for name, tag in (("a", "v1"), ("b", None)):
        session = made.writable_session("main")
        zarr.create_array(session.store, name=name, **ARRAY)[:] = 7
        snapshot = session.commit(f"add {name}")
        if tag:
            made.create_tag(tag, snapshot)
    return made


def members(store):
    return sorted(zarr.open_group(store, mode="r"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("icechunk:///data/survey", Place("/data/survey", "branch", "main", "")),
        ("icechunk://survey?branch=dev", Place("survey", "branch", "dev", "")),
        ("icechunk://s3://bucket/a/b?tag=v1&path=/x/y/", Place("s3://bucket/a/b", "tag", "v1", "x/y")),
        ("icechunk://file:///data/survey?snapshot=ABC", Place("file:///data/survey", "snapshot", "ABC", "")),
    ],
    ids=["path", "branch", "S3", "snapshot"],
)
def test_what_a_location_says(text, place):
    """A path or URL, one of branch, tag and snapshot, and a path within; what is shown says the same."""
    assert Place.parse(text) == place
    assert Place.parse(place.shown()) == place


@pytest.mark.parametrize(
    "text",
    [
        "icechunk://",
        "icechunk://a?branch=x&tag=y",
        "icechunk://a?group=x",
        "icechunk://a?branch=",
        "icechunk://?tag=v1",
    ],
)
def test_what_says_nothing_is_refused(text):
    """The message shows what can be written."""
    with pytest.raises(InvalidInputError, match=r"is no icechunk location\. Write icechunk://LOCATION"):
        Place.parse(text)


def test_what_is_of_icechunk(repository):
    """Text, repositories, sessions and their stores are; nothing else is, though it be a zarr Store."""
    session = repository.readonly_session("main")
    mine = ["icechunk://a", repository, session, session.store, StorePath(session.store, "a")]
    others = ["a", "s3://a", None, MemoryStore(), StorePath(MemoryStore(), "a"), object()]

    assert all(map(is_icechunk, mine))
    assert not any(map(is_icechunk, others))


def test_nobody_needs_icechunk_to_be_told_what_is_not(monkeypatch):
    """The question does not import it."""
    monkeypatch.delitem(sys.modules, "icechunk")

    assert not is_icechunk(MemoryStore())
    assert "icechunk" not in sys.modules


@pytest.mark.parametrize(("reference", "found"), [("", ["a", "b"]), ("?branch=main", ["a", "b"]), ("?tag=v1", ["a"])])
def test_text_opens_a_branch_or_a_tag(repository, folder, reference, found):
    """Without either it is the main branch."""
    snapshot = open_snapshot(f"icechunk://{folder}{reference}")

    assert members(snapshot.store) == found
    assert snapshot.store.read_only


def test_location_names_the_snapshot(repository, folder):
    """What was read can be read again, whatever becomes of the branch; objects do not tell where they are."""
    tip = repository.lookup_branch("main")
    session = repository.readonly_session("main")

    assert open_snapshot(f"icechunk://{folder}?path=a").location == f"icechunk://{folder}?snapshot={tip}&path=a"
    assert members(open_snapshot(open_snapshot(f"icechunk://{folder}").location).store) == ["a", "b"]
    for thing in (repository, session, session.store):
        assert open_snapshot(thing).location == f"icechunk://?snapshot={tip}"


@pytest.mark.parametrize("kind", ["text", "repository", "session", "store", "path", "array"])
def test_sources_of_every_kind(repository, folder, kind):
    """Whatever has a node in a repository opens it, as any other source does."""
    session = repository.readonly_session("main")
    things = {
        "text": f"icechunk://{folder}?path=a",
        "repository": repository,
        "session": session,
        "store": session.store,
        "path": StorePath(session.store, "a"),
        "array": zarr.open_array(session.store, path="a", mode="r"),
    }
    opened = open_store(things[kind])
    array = zarr.open_array(opened.store, path="" if kind in ("text", "path", "array") else "a", mode="r")

    np.testing.assert_array_equal(array[:], 7)
    assert opened.local is None
    assert f"snapshot={repository.lookup_branch('main')}" in opened.location


def test_looking_for_a_repository_makes_none(folder):
    """Where there is nothing there is nothing afterwards."""
    with pytest.raises(NotFoundError, match=f"there is nothing at {folder}"):
        open_snapshot(f"icechunk://{folder}")

    assert not folder.exists()


@pytest.mark.parametrize("reference", ["branch=no", "tag=no", "snapshot=no"])
def test_missing_references_are_one_line(repository, folder, reference):
    """What icechunk says in fifteen lines is said in one."""
    with pytest.raises(NotFoundError, match="cannot be opened: ") as refused:
        open_snapshot(f"icechunk://{folder}?{reference}")

    assert "\n" not in str(refused.value)


def test_folder_that_is_no_repository(tmp_path):
    """A folder of something else is not one."""
    with pytest.raises(NotFoundError, match="cannot be opened: the repository doesn't exist"):
        open_snapshot(f"icechunk://{tmp_path}")


def test_other_stores_are_opened_by_icechunk_itself():
    """The message says what to give instead."""
    with pytest.raises(InvalidInputError, match=r"opens s3://\. Open others with icechunk, and give the Repository"):
        open_snapshot("icechunk://gs://bucket/a")


def test_without_icechunk_the_message_says_what_to_install(monkeypatch, folder):
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "icechunk", None)
    with pytest.raises(InvalidInputError, match="pip install 'zarrmill\\[icechunk\\]'"):
        open_snapshot(f"icechunk://{folder}")


@pytest.mark.parametrize("version", ["0.2.18", "3.0.0", "10.1"])
def test_other_versions_are_refused(monkeypatch, folder, version):
    """The message has the version that is there and those that work."""
    monkeypatch.setattr(icechunk, "__version__", version)
    for call in (open_snapshot, place_to_write):
        with pytest.raises(InvalidInputError, match=f"icechunk {version} is not supported: versions from 1.0 up to"):
            call(f"icechunk://{folder}")


@pytest.mark.parametrize("version", ["1.0.0", "1.1.21", "2.3.0", "2.4.0a1"])
def test_supported_versions_are_taken(monkeypatch, folder, version):
    """Those that the extra allows."""
    monkeypatch.setattr(icechunk, "__version__", version)

    assert place_to_write(f"icechunk://{folder}").folder == folder


def test_the_extra_allows_the_same_versions():
    """What pip installs is what the module takes."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())

    assert project["project"]["optional-dependencies"]["icechunk"] == [f"icechunk>={OLDEST}.0,<{TOO_NEW}"]


def test_a_place_has_a_draft_of_its_own(repository, folder, tmp_path, monkeypatch):
    """It lies beside the repository, or in the folder given; objects do not tell their place, and never share one."""
    monkeypatch.chdir(tmp_path)
    paths = [
        place_to_write(f"icechunk://{where}").draft_path(tmp_path / "other")
        for where in (folder, "survey", f"{folder}?path=a", f"{folder}?branch=b", "s3://bucket/a")
    ]
    objects = {place_to_write(repository).draft_path(tmp_path / "other") for _ in range(2)}

    assert paths[0] == paths[1]
    assert len({*paths, *objects}) == 6
    assert [path.parent for path in paths[:4]] == [tmp_path] * 4
    assert {path.parent for path in (paths[4], *objects)} == {tmp_path / "other"}


def test_transaction_is_unseen_until_its_commit(repository, folder):
    """Then it is there as a whole; without a commit nothing of it ever is."""
    transaction = open_transaction(f"icechunk://{folder}")
    zarr.create_array(transaction.store, name="c", **ARRAY)
    assert members(repository.readonly_session("main").store) == ["a", "b"]
    snapshot = transaction.commit("add c")

    assert members(repository.readonly_session("main").store) == ["a", "b", "c"]
    assert repository.lookup_branch("main") == snapshot


def test_discarded_transaction_leaves_the_session_clean(repository):
    """A session of the caller's can be used again; after its commit there is nothing to discard."""
    session = repository.writable_session("main")
    transaction = open_transaction(session)
    zarr.create_array(transaction.store, name="c", **ARRAY)
    transaction.discard()
    assert not session.has_uncommitted_changes
    zarr.create_array(session.store, name="d", **ARRAY)
    session.commit("add d")
    transaction.discard()

    assert members(repository.readonly_session("main").store) == ["a", "b", "d"]


def test_text_makes_a_repository(folder):
    """A target need not be there."""
    transaction = open_transaction(f"icechunk://{folder}?path=x")
    assert place_to_write(f"icechunk://{folder}?path=x").folder == folder
    zarr.create_group(transaction.store)
    transaction.commit("begin")

    assert members(open_snapshot(f"icechunk://{folder}").store) == []


def test_commits_of_others_stay(repository):
    """What others committed about other nodes meanwhile is kept."""
    transaction = open_transaction(repository)
    zarr.create_array(transaction.store, name="ours", **ARRAY)
    theirs = repository.writable_session("main")
    zarr.create_array(theirs.store, name="theirs", **ARRAY)
    theirs.commit("add theirs")
    transaction.commit("add ours")

    assert members(repository.readonly_session("main").store) == ["a", "b", "ours", "theirs"]


def test_conflict_says_what_to_do(repository):
    """Another commit of the same node is neither overwritten nor mixed in."""
    transaction = open_transaction(repository)
    zarr.create_array(transaction.store, name="c", **ARRAY)
    theirs = repository.writable_session("main")
    zarr.create_array(theirs.store, name="c", shape=(2,), dtype="f8")
    theirs.commit("add c")

    with pytest.raises(PublishError, match=r"changed what this one writes \(/c\)\. .*Look at the branch"):
        transaction.commit("add ours")
    assert zarr.open_array(repository.readonly_session("main").store, path="c", mode="r").shape == (2,)


@pytest.mark.parametrize("reference", ["tag=v1", "snapshot=ABC"])
def test_only_branches_are_written(folder, reference):
    """Tags and snapshots never change; nothing is made on the way to the message."""
    with pytest.raises(InvalidInputError, match=r"cannot be written: a .* never changes\. Name a branch"):
        open_transaction(f"icechunk://{folder}?{reference}")

    assert not folder.exists()


def test_sessions_must_be_writable_and_clean(repository):
    """A commit would publish changes of the caller's that it did not ask to be published."""
    session = repository.writable_session("main")
    zarr.create_array(session.store, name="c", **ARRAY)
    with pytest.raises(InvalidInputError, match="has changes of its own"):
        open_transaction(session)
    with pytest.raises(InvalidInputError, match="is read-only"):
        open_transaction(repository.readonly_session("main").store)


def test_path_within_a_session(repository):
    """A StorePath says where in the repository, a session on which branch."""
    repository.create_branch("dev", repository.lookup_branch("main"))
    session = repository.writable_session("dev")
    place = place_to_write(StorePath(session.store, "x/y"))

    assert (place.path, place.shown()) == ("x/y", "icechunk://?branch=dev&path=x/y")
    assert place.folder is None


@pytest.mark.parametrize(
    ("environment", "options", "expected"),
    [
        ({}, {}, {"from_env": True}),
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "https://s3.here/"},
            {},
            {
                "region": "eu-west-1",
                "from_env": True,
                "endpoint_url": "https://s3.here",
                "force_path_style": True,
                "allow_http": False,
            },
        ),
        (
            {"AWS_REGION": "eu-west-1"},
            {"aws_access_key_id": "k", "secret_access_key": "s", "AWS_REGION": "us-east-1", "timeout": "5s"},
            {"access_key_id": "k", "secret_access_key": "s", "region": "us-east-1"},
        ),
        (
            {},
            {"endpoint": "http://127.0.0.1:9", "skip_signature": True, "virtual_hosted_style_request": "true"},
            {
                "anonymous": True,
                "endpoint_url": "http://127.0.0.1:9",
                "force_path_style": False,
                "allow_http": True,
            },
        ),
    ],
    ids=["credentials found by icechunk", "environment", "options before environment", "endpoint without a signature"],
)
def test_options_of_s3(tmp_path, environment, options, expected):
    """Options have the names that they have elsewhere, and come before the environment."""
    nowhere = {"AWS_CONFIG_FILE": str(tmp_path / "a"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "b")}

    assert _s3_settings(options, environment | nowhere) == expected


def test_bucket_and_prefix_are_those_of_the_url(monkeypatch):
    """The rest of the URL is the root of the repository."""
    calls = []

    def stop(**options):
        calls.append((options["bucket"], options["prefix"]))
        raise ValueError("seen")

    monkeypatch.setattr(icechunk, "s3_storage", stop)
    for place in ("s3://bucket/a/b/", "s3://bucket"):
        with pytest.raises(ValueError, match="seen"):
            open_snapshot(f"icechunk://{place}")

    assert calls == [("bucket", "a/b"), ("bucket", None)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regoin": "x"}, "storage option regoin is not one of s3"),
        ({"request_payer": "true"}, "icechunk takes no storage option request_payer"),
        ({"profile": "x"}, "icechunk takes no storage option profile"),
    ],
    ids=["misspelt", "payer", "profile"],
)
def test_other_options_are_refused(options, message):
    """An option that would be ignored is named."""
    with pytest.raises(InvalidInputError, match=message):
        open_snapshot("icechunk://s3://bucket/a", options)
