"""Folders for downloads: theirs alone while their process lives, and gone afterwards however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import zarrmill
from zarrmill.recordings.scratch_folder import PREFIX, ScratchFolder, remove_abandoned

CHILD = """
import sys, time
from zarrmill.recordings.scratch_folder import ScratchFolder

with ScratchFolder(sys.argv[1]) as folder:
    (folder / "a.h5").write_text("somebody's")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_a_folder_goes_with_all_that_is_in_it(tmp_path: Path):
    """Nobody else may look into it, and its name tells nothing."""
    with ScratchFolder(tmp_path) as folder:
        (folder / "a.h5").touch()
        assert folder.parent == tmp_path
        assert folder.name.startswith(PREFIX)
        assert folder.stat().st_mode & 0o777 == 0o700

    assert list(tmp_path.iterdir()) == []


def test_it_is_removed_once(tmp_path: Path):
    """A second time nothing happens."""
    made = ScratchFolder(tmp_path)
    made.remove()
    made.remove()

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_folder(tmp_path: Path):
    """What a living one has stays."""
    environment = {"PYTHONPATH": str(Path(zarrmill.__file__).parents[1])}
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        with ScratchFolder(tmp_path) as mine:
            assert sorted(tmp_path.iterdir()) == sorted([left, mine])
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert (left / "a.h5").exists()

    with ScratchFolder(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]


def test_other_files_and_places_are_left_alone(tmp_path: Path):
    """A file of such a name, a link to a folder, folders of other names; a place that is not there."""
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "other")
    before = sorted(tmp_path.iterdir())

    remove_abandoned(tmp_path)
    remove_abandoned(tmp_path / "nowhere")

    assert sorted(tmp_path.iterdir()) == before
