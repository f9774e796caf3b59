"""keyspace: stores on plain web servers, which list nothing, and of which some read no ranges."""

from __future__ import annotations

import http.server
import re
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.hierarchy import read_hierarchy
from zarrmill.store import open_store

VALUE = bytes(range(200))


class Whole(http.server.SimpleHTTPRequestHandler):
    """Serves files, and always the whole of one."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class Ranges(Whole):
    """Serves parts of files as well."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if found is None or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        start = int(found[1]) if found[1] else max(0, len(data) - int(found[2]))
        end = min(len(data), int(found[2]) + 1) if found[1] and found[2] else len(data)
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.end_headers()
        self.wfile.write(data[start:end])


@pytest.fixture(params=[Whole, Ranges], ids=["whole files only", "ranges"])
def web(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL of a web server of it."""
    handler = partial(request.param, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_values_are_read(web: tuple[Path, str]) -> None:
    """Values and their parts are right whether or not the server reads parts."""
    folder, url = web
    zarr.create_array(folder / "a b", shape=(2,), dtype="i4")
    (folder / "a b" / "k").write_bytes(VALUE)
    (folder / "a b" / "empty").write_bytes(b"")
    keys = open_store(f"{url}/a%20b").keys

    assert keys.get("k") == VALUE
    assert keys.get_range("k", 10, 20) == VALUE[10:30]
    assert keys.get_range("k", 190, 20) == VALUE[190:]
    assert keys.get_range("k", 500, 20) == b""
    assert keys.get_suffix("k", 20) == VALUE[-20:]
    assert keys.get_suffix("empty", 20) == b""
    assert keys.get_ranges("k", [(100, 5), (0, 5)]) == [VALUE[100:105], VALUE[:5]]
    assert keys.get("missing") is None
    assert keys.get_ranges("k", [(150, 5), (900_000, 5)]) == [VALUE[150:155], b""]


def test_an_array_needs_no_listing(web: tuple[Path, str]) -> None:
    """An array is whole in itself."""
    folder, url = web
    zarr.create_array(folder / "x", shape=(4,), chunks=(2,), dtype="i4")[:] = [1, 2, 3, 4]
    opened = open_store(f"{url}/x")

    assert read_hierarchy(opened).is_array
    np.testing.assert_array_equal(zarr.open_array(opened.store, mode="r")[:], [1, 2, 3, 4])


@pytest.mark.parametrize("version", [2, 3])
def test_consolidated_metadata_name_what_is_there(web: tuple[Path, str], version: Any) -> None:
    """The names of a group's members are those in consolidated metadata, all else is read from the members."""
    folder, url = web
    root = zarr.create_group(folder, zarr_format=version)
    root.create_array("a", shape=(2,), dtype="i4")
    root.create_array("b/c", shape=(2,), dtype="i4")
    with warnings.catch_warnings():
        # Zarr warns that consolidated metadata are not part of the specification of v3.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(folder)
    root["a"].resize((7,))
    hierarchy = read_hierarchy(open_store(url))

    assert list(hierarchy.nodes) == ["", "a", "b", "b/c"]
    assert hierarchy.nodes["a"].metadata["shape"] == [7]
    assert hierarchy.consolidated


def test_a_group_without_names_is_refused(web: tuple[Path, str]) -> None:
    """A group that nothing can be said about is not taken for an empty one."""
    folder, url = web
    zarr.create_group(folder).create_array("a", shape=(2,), dtype="i4")

    with pytest.raises(InvalidInputError, match=r"cannot list its keys, and has no consolidated metadata"):
        read_hierarchy(open_store(url))


def test_nothing_there_is_told(web: tuple[Path, str]) -> None:
    """Where no metadata file is, there is nothing that could be opened."""
    folder, url = web
    (folder / "data.csv").write_text("1,2")

    with pytest.raises(NotFoundError, match=f"there is nothing at {url}/a"):
        open_store(f"{url}/a")
