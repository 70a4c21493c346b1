"""The run's folder: its names, whose it is, and what is said before the first step."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ownloop.errors import FolderError
from ownloop.folder import Layout


def test_the_names_are_those_of_the_documentation():
    layout = Layout(Path("run"))
    assert layout.lock == Path("run/lock")
    assert layout.identity == Path("run/run.json")
    assert layout.log == Path("run/log.txt")
    assert layout.history == Path("run/history.db")
    assert layout.checkpoints == Path("run/checkpoints")
    assert layout.nonfinite == Path("run/nonfinite")


def test_a_new_folder_is_made_and_gets_an_identity_that_stays(tmp_path):
    layout = Layout(tmp_path / "run")
    layout.prepare()
    assert list(layout.folder.iterdir()) == []
    run = layout.identify()
    assert len(run) == 32
    layout.prepare()
    assert layout.identify() == layout.read_identity() == run
    assert list(layout.folder.iterdir()) == [layout.identity]
    content = json.loads(layout.identity.read_text())
    assert content == {"format": "ownloop run", "version": 1, "run": run}


def test_two_folders_are_two_runs(tmp_path):
    layouts = Layout(tmp_path / "1"), Layout(tmp_path / "2")
    for layout in layouts:
        layout.prepare()
    assert layouts[0].identify() != layouts[1].identify()


def test_other_files_in_the_folder_are_welcome_and_stay(tmp_path):
    (tmp_path / "train.py").write_text("code")
    (tmp_path / "lock").write_text("")  # what an earlier try has left
    layout = Layout(tmp_path)
    layout.prepare()
    layout.identify()
    assert (tmp_path / "train.py").read_text() == "code"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "lock",
        "run.json",
        "train.py",
    ]


def test_files_that_are_nobodys_are_not_taken_for_ours(tmp_path):
    (tmp_path / "log.txt").write_text("of somebody")
    (tmp_path / "checkpoints").mkdir()
    layout = Layout(tmp_path)
    layout.prepare()
    words = r"has log\.txt, checkpoints and no run\.json, .* Expected .* free\. Put the"
    with pytest.raises(FolderError, match=words):
        layout.identify()
    assert not layout.identity.exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(FolderError, match=r"run cannot be .*: it is a file\. Expected"):
        Layout(tmp_path / "run").prepare()


def test_folders_above_it_are_made_and_files_above_it_refused(tmp_path):
    Layout(tmp_path / "missing" / "run").prepare()
    assert (tmp_path / "missing" / "run").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"run: .*file is no folder that exists"):
        Layout(tmp_path / "file" / "run").prepare()


@pytest.mark.parametrize("name", ["lock", "run.json", "log.txt", "history.db"])
def test_a_folder_in_place_of_a_file_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(FolderError, match=rf"{name} is a folder\. Expected a file, or"):
        Layout(tmp_path).prepare()


@pytest.mark.parametrize("name", ["checkpoints", "nonfinite"])
def test_a_file_in_place_of_a_folder_is_refused(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(FolderError, match=rf"{name} is a file\. Expected a folder, or"):
        Layout(tmp_path).prepare()


READ_ONLY = """
import os, sys
from pathlib import Path
from ownloop.errors import FolderError
from ownloop.folder import Layout

if os.getuid() == 0:
    os.setuid(65534)  # no permission stops the superuser
try:
    Layout(Path(sys.argv[1])).prepare()
except FolderError as error:
    print(error)
"""


def test_a_folder_that_may_only_be_read_is_refused():
    # Not under tmp_path, which other users may not enter.
    folder = tempfile.mkdtemp(prefix="ownloop-read-only-")
    try:
        os.chmod(folder, 0o555)
        for path in (folder, os.path.join(folder, "run")):
            done = subprocess.run(
                [sys.executable, "-c", READ_ONLY, path],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert f"{path} cannot be the folder of a run: Permission" in done.stdout
            assert "Choose another, or see to its permissions." in done.stdout
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it cannot be read"),
        (b'{"format": "ownlo', "it cannot be read"),
        (b"[]", "it cannot be read"),
        (b"\xff", "it cannot be read"),
        (b"{}", "it cannot be read"),
        (b'{"format": "other", "version": 1, "run": "1"}', "its format is 'other'"),
        (b'{"format": "ownloop run", "version": 1, "run": 1}', "its run is 1"),
    ],
)
def test_an_identity_that_is_not_ours_is_refused_and_stays(tmp_path, content, why):
    layout = Layout(tmp_path)
    layout.identity.write_bytes(content)
    layout.prepare()
    with pytest.raises(FolderError, match=rf"run\.json is not ours: {why}.*Expected"):
        layout.identify()
    assert layout.identity.read_bytes() == content


def test_a_folder_of_a_later_version_is_refused(tmp_path):
    layout = Layout(tmp_path)
    content = {"format": "ownloop run", "version": 2, "run": "1"}
    layout.identity.write_text(json.dumps(content))
    with pytest.raises(
        FolderError, match=r"format version 2\. Expected version 1, .*Use"
    ):
        layout.identify()


def test_to_read_where_no_run_has_been_is_an_error_and_leaves_no_trace(tmp_path):
    with pytest.raises(
        FolderError, match=r"is no folder of a run: it has no run\.json"
    ):
        Layout(tmp_path).read_identity()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_attempt_to_write_the_identity_is_forgotten(tmp_path):
    (tmp_path / ".run.json.new").write_text('{"form')
    layout = Layout(tmp_path)
    layout.prepare()
    layout.identify()
    assert list(tmp_path.iterdir()) == [layout.identity]
