"""One process works in a folder at a time, and what a killed one left is in nobody's way."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

from mlff.support.errors import InputError, RunError
from mlff.support.files import replacing, write_text
from mlff.support.folders import at_work, holds_files, temporary_beside

_HOLD = """
import sys, time
from pathlib import Path
from mlff.support.files import replacing
from mlff.support.folders import at_work
with at_work(Path(sys.argv[1])), replacing(Path(sys.argv[1]) / "state.npz") as temporary:
    temporary.write_text("half")
    print("at work", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def other(tmp_path):
    """A process at work in a folder, in the middle of a file."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "run"), "60"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "at work\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_one_process_and_a_killed_one_leaves_nothing_in_the_way(tmp_path, other):
    folder = tmp_path / "run"
    with pytest.raises(InputError, match=r"run: another process is at work in this folder; wait"), at_work(folder):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    left = {path.name for path in folder.iterdir()}
    assert ".lock" in left
    assert len(left) == 2  # and the temporary file
    assert not holds_files(folder)
    with at_work(folder):
        assert {path.name for path in folder.iterdir()} == {".lock"}
        write_text(folder / "record.json", "{}")
    assert [path.name for path in folder.iterdir()] == ["record.json"]


def test_one_thread(tmp_path):
    refused = []

    def enter():
        try:
            with at_work(tmp_path):
                pass
        except InputError as error:
            refused.append(error)

    with at_work(tmp_path):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(refused) == 1


def refused(folder):
    """Whether another process is."""
    done = subprocess.run([sys.executable, "-c", _HOLD, str(folder), "0"], capture_output=True, text=True)
    return "another process is at work" in done.stderr


def test_a_lock_whose_file_goes_in_between_is_none(tmp_path, monkeypatch):
    """A run ends, and removes the file, between the moments when another one opens and locks it."""
    flock, ends = fcntl.flock, [True]

    def ending(descriptor, operation):
        if ends:
            ends.clear()
            (tmp_path / ".lock").unlink()
        return flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", ending)
    with at_work(tmp_path):
        assert not ends
        assert refused(tmp_path)


def test_the_lock_of_a_folder_that_took_the_place_stays(tmp_path):
    folder = tmp_path / "run"
    with ExitStack() as other:
        with at_work(folder):
            shutil.rmtree(folder)
            other.enter_context(at_work(folder))
        assert refused(folder)


def test_a_folder_that_vanishes_is_said(tmp_path):
    with pytest.raises(RunError, match=r"run: the folder was removed"), at_work(tmp_path / "run"):
        shutil.rmtree(tmp_path / "run")


def test_a_folder_that_got_no_files_is_not_left(tmp_path):
    with pytest.raises(ValueError, match="refused"), at_work(tmp_path / "a" / "run"):
        raise ValueError("refused")
    assert not (tmp_path / "a" / "run").exists()
    with at_work(tmp_path / "run"):
        write_text(tmp_path / "run" / "log", "")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["log"]


def test_only_temporary_files_of_this_run_are_removed(tmp_path):
    own, nested, strange = tmp_path / "report" / "a.png", tmp_path / "other" / "b.npz", tmp_path / ".notes.tmp"
    for path in (own, nested):
        path.parent.mkdir()
    for path in (temporary_beside(own), temporary_beside(nested), strange, nested.parent / ".lock"):
        path.write_text("x")
    with at_work(tmp_path):
        assert [*own.parent.iterdir()] == []
        assert len([*nested.parent.iterdir()]) == 2  # another run is at work there, perhaps
        assert strange.exists()


def test_files_are_on_the_disk_before_they_take_their_place(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (events.append("replace"), replace(*paths)))
    write_text(tmp_path / "a", "content")
    assert events == ["fsync", "replace"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_file_that_fails_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "a"
    write_text(path, "old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]
