"""What sessions are called outside."""

import json
from pathlib import Path

import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.identities import Cleaner, Identities, hash_id, read_id_map


def test_ids_stay_unless_they_are_to_be_replaced():
    """Without a request a session keeps its id."""
    assert Identities().public_ids(["a", "b c"]) == {"a": "a", "b c": "b c"}
    assert not Identities().replaces


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Zoë Quill", "p01"),
        ("/data/curated-h5/Zoë Quill.h5", "/data/curated-h5/p01.h5"),
        ("zoë quill was here", "p01 was here"),
        (json.dumps({"who": "Zoë Quill"}), '{"who": "p01"}'),
        ("s3://b/Zo%C3%AB%20Quill.h5", "s3://b/p01.h5"),
        ("q=Zo%C3%AB+Quill", "q=p01"),
        ("Zoe\u0308 Quill", "p01"),
        ("Zoë Quill_events.zarr", "p01_events.zarr"),
        ("Zoë Quillfeather", "Zoë Quillfeather"),
        ("(Zoë Quill)", "(p01)"),
    ],
    ids=["alone", "path", "case", "json", "url", "query", "decomposed", "key", "longer word", "brackets"],
)
def test_an_id_is_found_however_it_is_written(text: str, cleaned: str):
    """Escapes of JSON and URLs, other case and other normal forms are the same id; a longer word is not."""
    assert Cleaner("Zoë Quill", "p01")(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ('{"n": 12, "at": [12, 1.12], "id": "12"}', '{"n": 12, "at": [12, 1.12], "id": "p01"}'),
        ("/data/12.h5", "/data/p01.h5"),
        ("12", "p01"),
        ("at 12 o'clock", "at 12 o'clock"),
    ],
    ids=["json", "path", "alone", "words"],
)
def test_an_id_of_digits_is_no_number(text: str, cleaned: str):
    """Numbers in a payload stay what they are."""
    assert Cleaner("12", "p01")(text) == cleaned


def test_json_values_are_cleaned_in_names_and_texts():
    """Numbers and what else is no text stay."""
    value = {"Ada L": ["Ada L", 3, None, {"x": "about Ada L"}]}

    assert Cleaner("Ada L", "p01").clean_json(value) == {"p01": ["p01", 3, None, {"x": "about p01"}]}


def test_backslashes_of_a_new_id_are_no_escapes():
    r"""The new id is put as it stands: ``\1`` in it would be a reference in a pattern."""
    assert Cleaner("Ada L", r"p\1")("Ada L") == r"p\1"


def test_the_text_form_of_identities_tells_no_id():
    """What is printed by accident holds no name and no secret."""
    shown = repr(Identities(names={"Ada L": "p01"}, key="secret")) + repr(Cleaner("Ada L", "p01"))

    assert "Ada" not in shown
    assert "secret" not in shown


def test_hashes_are_the_same_everywhere_and_other_with_another_key():
    """Two normal forms of a name are the same person."""
    assert hash_id("Zoë") == hash_id("Zoe\u0308")
    assert hash_id("Zoë", key="a") != hash_id("Zoë", key="b")
    assert Identities(hashed=True, key="a").public_ids(["Zoë"]) == {"Zoë": hash_id("Zoë", key="a")}


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ({"Ada L": "p01"}, "no line for 1 of 2 sessions"),
        ({"Ada L": "p01", "Bo M": "p01"}, "2 sessions get 1 different ids"),
        ({"Ada L": "p/1", "Bo M": "p02"}, "cannot be the id"),
        ({"Ada L": "", "Bo M": "p02"}, "cannot be the id"),
        ({"Ada L": "..", "Bo M": "p02"}, "cannot be the id"),
        ({"Ada L": "the Ada L", "Bo M": "p02"}, "holds the id that it stands for"),
    ],
    ids=["lacking", "shared", "slash", "empty", "dots", "holds the old one"],
)
def test_a_list_that_cannot_be_used_is_refused(names: dict[str, str], complaint: str):
    """The message tells no id of the input."""
    with pytest.raises(InvalidInputError, match=complaint) as caught:
        Identities(names=names).public_ids(["Ada L", "Bo M"])

    assert "Ada" not in str(caught.value)
    assert "Bo M" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.csv", "session_id,new\nAda L,p01\n\nBo M, p02\n"),
        ("ids.csv", 'Ada L,p01\n"Bo M",p02'),
        ("ids.tsv", "Ada L\tp01\nBo M\tp02\n"),
        ("ids.json", '{"Ada L": "p01", "Bo M": "p02"}'),
    ],
    ids=["headings", "quotes", "tabs", "json"],
)
def test_a_list_of_ids_is_read(tmp_path: Path, name: str, text: str):
    """Commas, tabs or a JSON object."""
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert read_id_map(tmp_path / name) == {"Ada L": "p01", "Bo M": "p02"}


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("ids.csv", "Ada L,p01\nAda L,p02\n", "line 2: a session for the second time"),
        ("ids.csv", "Ada L,p01,x\n", "line 1: 3 columns"),
        ("ids.json", "[]", "no object of texts"),
        ("ids.json", '{"Ada L": 1}', "no object of texts"),
        ("ids.json", "{", "no JSON"),
    ],
    ids=["twice", "columns", "list", "number", "broken"],
)
def test_a_file_that_is_no_list_of_ids_is_refused(tmp_path: Path, name: str, text: str, complaint: str):
    """The message tells the line and no id."""
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(InvalidInputError, match=complaint) as caught:
        read_id_map(tmp_path / name)

    assert "Ada" not in str(caught.value)
