"""``ownloop runs``: a line for each run, whatever the runs are doing."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from ownloop.cli import main
from ownloop.cli.runs import Line, draw


def rows(printed):
    """The table as a dict for each run, by the words of the head."""
    head, *lines = (re.split(r" {2,}", line) for line in printed.splitlines())
    return {cells[0]: dict(zip(head, cells, strict=True)) for cells in lines}


def test_each_run_has_its_line(finished, killed, capsys):
    assert main(["runs", str(finished.parent)]) == 0
    found = rows(capsys.readouterr().out)
    assert list(found) == ["finished", "killed"]
    done = found["finished"]
    assert (done["state"], done["epochs"], done["steps"]) == ("finished", "3/3", "12")
    assert done["checkpoint"].startswith("step-12")
    # The weight is 3 + 5 + ... : 14 in each epoch.
    assert done["val_accuracy"] == "0.4375"
    assert done["val_loss"] == "45.5000"
    assert float(done["train_loss"]) > 0
    dead = found["killed"]
    assert (dead["state"], dead["epochs"]) == ("interrupted", "1/3")
    assert dead["checkpoint"].startswith("step-")


def test_a_run_that_a_bad_step_has_ended_is_told_from_one_that_was_killed(
    spoilt, capsys
):
    assert main(["runs", str(spoilt.parent)]) == 0
    found = rows(capsys.readouterr().out)["spoilt"]
    assert (found["state"], found["steps"]) == ("interrupted, step 4 was bad", "3")
    assert main(["show", str(spoilt)]) == 0
    assert re.search("state +interrupted, step 4 was bad", capsys.readouterr().out)


def test_a_run_that_goes_on_is_named_with_its_process_and_goes_on(running, capsys):
    folder, process = running
    for _ in range(3):
        assert main(["runs", str(folder.parent)]) == 0
        found = rows(capsys.readouterr().out)["running"]
        assert found["state"] == f"running, process {process.pid}"
    process.communicate("\n")
    assert process.returncode == 0
    main(["runs", str(folder.parent)])
    assert rows(capsys.readouterr().out)["running"]["state"] == "finished"


def test_looking_changes_nothing(finished, killed, content, capsys):
    folder = finished.parent
    before = content(folder)
    for words in (
        ["runs", str(folder)],
        ["show", str(finished)],
        ["show", str(killed)],
        ["verify", str(finished)],
        ["verify", str(killed)],
        ["show", str(killed), "--log"],
    ):
        assert main(words) == 0
    assert capsys.readouterr().err == ""
    assert content(folder) == before


def test_runs_are_found_two_levels_deep_and_not_in_hidden_folders(finished, capsys):
    folder = finished.parent
    for place in ("a/b", "a/b/c", ".hidden/run", "a/deeper/still/run"):
        shutil.copytree(finished, folder / place, dirs_exist_ok=True)
    main(["runs", str(folder)])
    # What lies within a run is its own.
    assert list(rows(capsys.readouterr().out)) == [os.path.join("a", "b"), "finished"]
    main(["runs", str(finished)])
    assert list(rows(capsys.readouterr().out)) == ["."]


def test_a_damaged_run_is_told_and_does_not_hide_the_others(finished, killed, capsys):
    (killed / "history.db").write_bytes(b"no database, but longer than a header is")
    assert main(["runs", str(finished.parent)]) == 0
    said = capsys.readouterr()
    found = rows(said.out)
    assert (found["killed"]["state"], found["killed"]["steps"]) == ("damaged", "?")
    assert found["finished"]["steps"] == "12"
    assert "history.db cannot be read" in said.err


def test_a_run_that_has_only_just_begun_has_a_line(tmp_path, finished, capsys):
    begun = finished.parent / "begun"
    begun.mkdir()
    shutil.copy(finished / "run.json", begun)
    assert main(["runs", str(begun.parent)]) == 0
    found = rows(capsys.readouterr().out)["begun"]
    assert (found["epochs"], found["checkpoint"], found["val_loss"]) == ("0", "-", "-")
    assert found["state"] == "interrupted"


def test_a_folder_without_runs_says_so(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"no runs in {tmp_path}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No such file"), ("file", "Not a dir"), ("x" * 300, "name too long")],
)
def test_what_is_no_folder_ends_with_code_2(tmp_path, name, reason, capsys):
    (tmp_path / "file").write_text("")
    assert main(["runs", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ownloop: error: {tmp_path / name} cannot be read: ")
    assert reason in error
    assert "Expected a folder that we may look into. Give the right one" in error


def test_values_of_validation_come_first_and_as_many_as_there_is_room_for():
    names = ["train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss"]
    line = Line(("a", "finished", "1", "2", "-", "3 B"), dict.fromkeys(names, 0.5))
    (head, _) = draw([line], None)
    assert head.split()[6:] == [*names[2:4], *names[:2]]
    (head, _) = draw([line], 10)
    assert head.split()[6:] == ["val_loss", "val_accuracy"]
    assert draw([], None) == []


def test_looking_at_runs_imports_no_framework(finished, killed):
    code = (
        "import sys; from ownloop.cli import main\n"
        "for words in sys.argv[1:]: main(words.split())\n"
        "print([m for m in ('keras', 'jax', 'tensorflow', 'torch', 'matplotlib', "
        "'rich', 'ml_dtypes') if m in sys.modules])"
    )
    commands = [f"runs {finished.parent}", f"show {killed}", f"verify {finished}"]
    done = subprocess.run(
        [sys.executable, "-c", code, *commands],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
