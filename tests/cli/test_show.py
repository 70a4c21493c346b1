"""``ownloop show``: what a run's folder holds, in words and as files."""

import csv
import json
import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from ownloop.checkpoints import Checkpoint, Store
from ownloop.cli import main
from ownloop.cli.show import place_in_words
from ownloop.cli.stored import SavedRun, newest
from ownloop.errors import CheckpointError
from ownloop.folder import Layout
from ownloop.history import History
from ownloop.history.database import read_database
from ownloop.history.tally import Mark
from ownloop.resume.place import Place


def shown(words, capsys, code=0):
    assert main(["show", *map(str, words)]) == code
    return capsys.readouterr()


def test_it_says_whose_what_where_and_on_what(finished, capsys, backend):
    lines = shown([finished], capsys).out.splitlines()
    titles = {line[:13].strip(): line[13:] for line in lines if line[:1].isalpha()}
    assert titles["run"].startswith(f"{finished}, ")
    assert titles["identity"] == Layout(finished).read_identity()
    assert titles["state"] == "finished"
    assert re.fullmatch(r"step-12\S*: step 12, .*3.*", titles["saved"])
    assert titles["bits"].startswith("exact")
    words = " ".join(" ".join(lines).split())
    for part in (f"backend {backend}", "keras 3.", "numpy ", "devices ", "processors "):
        assert part in words
    table = repr(read_database(finished / "history.db"))
    assert table in "\n".join(lines)
    assert table.startswith("History of 3 epochs, 12 steps")
    assert lines[-4:] == [
        "The last lines of log.txt",
        "  Epoch 1",
        "  Epoch 2",
        "  Epoch 3",
    ]
    checkpoints = [line.split() for line in lines if re.match(r"step-\S+ +\d", line)]
    assert [row[0] for row in checkpoints] == Store(
        finished / "checkpoints", run=None
    ).names()


def test_a_run_that_goes_on_is_shown_with_its_process_and_goes_on(running, capsys):
    folder, process = running
    assert f"running: process {process.pid} on " in shown([folder], capsys).out
    process.communicate("\n")
    assert process.returncode == 0
    assert "state        finished" in shown([folder], capsys).out


def test_a_run_that_was_continued_although_something_differed_is_marked(
    finished, capsys
):
    layout = Layout(finished)
    store = Store(layout.checkpoints, run=layout.read_identity())
    last = store.newest().checkpoint
    meta = dict(last.meta) | {"inexact": True}
    store.commit(Checkpoint(last.step, last.tensors, meta))
    assert "bits         inexact: it was continued" in shown([finished], capsys).out


def test_what_was_taken_for_the_scripts_own_choice_is_shown(finished, capsys):
    layout = Layout(finished)
    store = Store(layout.checkpoints, run=layout.read_identity())
    last = store.newest().checkpoint
    meta = dict(last.meta) | {"inexact": False, "doubts": ["pass 'train' has others"]}
    store.commit(Checkpoint(last.step, last.tensors, meta))
    out = shown([finished], capsys).out
    assert "bits         exact, if the script itself chose what was other" in out
    assert "             pass 'train' has others" in out


def test_a_run_that_was_killed_is_shown_where_it_was_saved(killed, capsys):
    said = shown([killed], capsys).out
    assert re.search(r"saved +step-\S+: step \d, ", said)
    assert "History of 1 epoch, 4 steps" in said


def saved(**place):
    epoch = 1 if place.get("epoch") is None else place["epoch"] - 1
    return SavedRun(
        name="step-1200",
        step=1200,
        epoch=epoch,
        place=Place(**place),
        fingerprint={},
        kinds={},
        inexact=False,
        doubts=(),
        history=Mark.of_nothing(),
        log=0,
        log_digest="",
        memory={},
    )


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"epoch": 3}, "at the start of epoch 3"),
        ({"epoch": 3, "open": {"batch": 1000}, "made": 1}, "in epoch 3, batch 1,000"),
        (
            {"epoch": 3, "results": {0: {}}, "made": 1},
            "in epoch 3, between two passes",
        ),
        ({"round": 1, "endings": (None,)}, "1 epoch is done"),
        ({"round": 1, "endings": ("no gain",)}, "1 epoch is done: no gain"),
        (
            {"round": 1, "endings": (None,), "left": (0,)},
            "1 epoch is done: the loop was left",
        ),
    ],
)
def test_the_place_in_the_users_code_is_said_in_words(place, words):
    assert place_in_words(saved(**place)) == f"step 1,200, {words}"


def test_the_whole_log_is_printed_and_nothing_else(finished, capsys):
    text = "".join(f"line {number} ä\n" for number in range(1000))
    (finished / "log.txt").write_text(text, encoding="utf-8")
    assert shown([finished, "--log"], capsys).out == text
    assert shown([finished], capsys).out.endswith("  line 998 ä\n  line 999 ä\n")


def test_the_log_is_printed_byte_for_byte(finished, capfdbinary):
    content = b"one\rtwo\r\nthree \xff\n"
    (finished / "log.txt").write_bytes(content)
    assert main(["show", str(finished), "--log"]) == 0
    assert capfdbinary.readouterr().out == content


def test_a_log_that_cannot_be_read_ends_with_code_2(finished, capsys):
    (finished / "log.txt").unlink()
    for reason in ("No such file or directory", "Is a directory"):
        error = shown([finished, "--log"], capsys, code=2).err
        assert f"log.txt cannot be read: {reason}. Expected the text that" in error
        (finished / "log.txt").mkdir(exist_ok=True)


def test_the_history_becomes_files(finished, tmp_path, capsys):
    table, whole, picture = (tmp_path / f"h.{end}" for end in ("csv", "json", "png"))
    said = shown([finished, "--history", table, "--plot", picture], capsys)
    assert said.out == f"wrote 3 epochs to {table}\ndrew 3 epochs to {picture}\n"
    with table.open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["4", "8", "12"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    shown([finished, "--history", whole], capsys)
    written = json.loads(whole.read_text())
    assert len(written["steps"]["train_loss"]["value"]) == 12
    again = History.from_json(whole)
    assert repr(again) == repr(read_database(finished / "history.db"))


@pytest.mark.parametrize(
    "flag", ["--history=h.xlsx", "--plot=h.csv", "--history=h", "--history=.csv"]
)
def test_a_file_of_no_known_kind_is_refused(flag, capsys):
    with pytest.raises(SystemExit):
        main(["show", "runs", flag])
    error = capsys.readouterr().err
    assert re.search(r"got '.*'; expected a name with the ending .*; write, for", error)


def test_a_file_that_cannot_be_written_ends_with_code_2(finished, tmp_path, capsys):
    for flag, name in (("--history", "h.csv"), ("--plot", "h.png")):
        path = tmp_path / "missing" / name
        error = shown([finished, flag, path], capsys, code=2).err
        assert f"{path} cannot be written: No such file or directory. Expe" in error


def test_what_is_no_folder_of_a_run_ends_with_code_2(finished, tmp_path, capsys):
    missing = shown([tmp_path / "missing"], capsys, code=2)
    assert (
        "missing cannot be read: No such file or directory. Expected a" in missing.err
    )
    other = shown([finished.parent], capsys, code=2)
    assert re.search(
        r"runs is no folder of a run: it has no run\.json\. Expected a folder that was "
        r"given to `Loop\(folder=\.\.\.\)`.*Write `ownloop runs .*` to see",
        other.err,
    )


def test_what_is_damaged_is_told_and_the_rest_is_shown(finished, capsys):
    (finished / "history.db").write_bytes(bytes(5000))
    for path in (finished / "checkpoints").iterdir():
        (path / "meta.json").write_bytes(b"{}\n")
    (finished / "log.txt").unlink()
    said = shown([finished], capsys, code=1)
    assert re.search(r"error: The checkpoint 'step-12\S* in .* cannot be", said.err)
    assert re.search(r"step-12\S* +\? .*cannot be loaded: meta\.json has", said.out)
    assert "history.db cannot be read: file is not a database" in said.err
    assert "log.txt cannot be read: No such file" in said.err
    (finished / "run.json").write_bytes(b"no json")
    assert "run.json is not ours" in shown([finished], capsys, code=1).err


def test_a_checkpoint_that_no_loop_has_saved_is_not_believed(finished):
    layout = Layout(finished)
    store = Store(layout.checkpoints, run=layout.read_identity())
    store.commit(Checkpoint(99, {}, {"epoch": "many"}))
    assert newest(store).step == 12
    for name in store.names()[:-1]:
        store.set_aside(name)
    words = r"step-99 does not say where its run was: .*\. Expected what a loop of this"
    with pytest.raises(CheckpointError, match=words):
        newest(store)


def test_a_step_that_was_not_finite_is_shown_and_verified(finished, capsys):
    layout = Layout(finished)
    meta = {"epoch": 2, "pass": "train", "batch": 3, "cause": "the loss is NaN"}
    kept = Store(layout.nonfinite, run=layout.read_identity())
    kept.commit(Checkpoint(7, {}, meta))
    said = shown([finished], capsys).out
    assert "not finite  epoch  pass   batch  cause\n" in said
    assert "step-7          2  train      3  the loss is NaN\n" in said
    assert main(["verify", str(finished)]) == 0
    (layout.nonfinite / "step-7" / "meta.json").unlink()
    capsys.readouterr()
    assert main(["verify", str(finished)]) == 1
    assert "nonfinite/step-7 DAMAGED  meta.json is missing" in capsys.readouterr().out


def test_a_step_that_is_damaged_or_deleted_meanwhile_hides_no_other(
    finished, capsys, monkeypatch
):
    layout = Layout(finished)
    kept = Store(layout.nonfinite, run=layout.read_identity())
    for step in (7, 8, 9):
        kept.commit(Checkpoint(step, {}, {"epoch": 2, "pass": "train", "batch": step}))
    (layout.nonfinite / "step-7" / "meta.json").unlink()
    meta = Store.meta

    def delete_first(store, name):
        if name == "step-9":
            shutil.rmtree(layout.nonfinite / name)
        return meta(store, name)

    monkeypatch.setattr(Store, "meta", delete_first)
    said = shown([finished], capsys).out
    assert re.search(r"^step-7 +\? +\? +\? +.* meta\.json is missing", said, re.M)
    assert re.search(r"^step-8 +2 +train +8 +\?$", said, re.M)
    assert "step-9" not in said


def test_a_run_that_has_saved_nothing_yet_says_so(finished, capsys):
    shutil.rmtree(finished / "checkpoints")
    with closing(sqlite3.connect(finished / "history.db")) as connection, connection:
        connection.execute("DELETE FROM meta WHERE key = 'saved'")
    assert "saved        nothing yet" in shown([finished], capsys).out
    (finished / "history.db").unlink()
    (finished / "log.txt").unlink()
    assert "saved        nothing yet" in shown([finished], capsys).out


def test_a_run_whose_checkpoints_were_deleted_says_that_it_cannot_go_on(
    finished, capsys
):
    shutil.rmtree(finished / "checkpoints")
    said = shown([finished], capsys).out
    assert re.search(
        r"^saved +none is left, though step-\d+ was: the run cannot", said, re.M
    )
