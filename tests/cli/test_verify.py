"""``ownloop verify``: each kind of damage is found, named, and left as it is."""

import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from ownloop.cli import main


def verdicts(folder, capsys, code):
    assert main(["verify", str(folder)]) == code
    lines = capsys.readouterr().out.splitlines()
    return {name: (verdict, words) for name, verdict, words in map(_cells, lines)}


def _cells(line):
    return line.split(maxsplit=2)


def newest(folder):
    names = (path.name for path in (folder / "checkpoints").iterdir())
    return folder / "checkpoints" / max(names, key=lambda n: float(n[5:]))


def test_a_run_that_is_well_has_a_line_for_each_thing(finished, killed, capsys):
    for folder in (finished, killed):
        found = verdicts(folder, capsys, 0)
        assert {verdict for verdict, _ in found.values()} == {"ok"}
        saved = [path.name for path in (folder / "checkpoints").glob("step-*")]
        assert set(found) == {"run.json", "history.db", "log.txt", *saved}


def test_a_run_may_go_on_meanwhile(running, capsys):
    folder, process = running
    for _ in range(3):
        verdicts(folder, capsys, 0)
    process.communicate("\n")
    assert process.returncode == 0
    verdicts(folder, capsys, 0)


def alter_state(folder):
    path = newest(folder) / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def shorten_meta(folder):
    path = newest(folder) / "meta.json"
    path.write_bytes(path.read_bytes()[:-1])


def alter_a_value(folder):
    with closing(sqlite3.connect(folder / "history.db")) as connection, connection:
        connection.execute("UPDATE steps SET value = 0.5 WHERE id = 2")


def remove_an_epoch(folder):
    with closing(sqlite3.connect(folder / "history.db")) as connection, connection:
        connection.execute("DELETE FROM epochs WHERE number = 2")


@pytest.mark.parametrize(
    ("damage", "thing", "words"),
    [
        (alter_state, "step-12", "state.safetensors is altered: its SHA-256 differs"),
        (shorten_meta, "step-12", r"meta\.json has \d+ bytes instead of \d+"),
        (alter_a_value, "history.db", "was altered: the rows that the checkpoint"),
        (remove_an_epoch, "history.db", r"holds 2 rows of epochs\. Expected at"),
        (
            lambda folder: (folder / "history.db").write_bytes(b""),
            "history.db",
            "history.db is no history: it is empty",
        ),
        (
            lambda folder: (folder / "history.db").unlink(),
            "history.db",
            "history.db cannot be read: unable to open database file",
        ),
        (
            lambda folder: (folder / "log.txt").write_text("Epoch 1"),
            "log.txt",
            r"7 bytes\. Expected at least 24, which the checkpoint is about",
        ),
        (
            lambda folder: (folder / "log.txt").write_text(
                (folder / "log.txt").read_text().replace("Epoch 2", "Epoch 5")
            ),
            "log.txt",
            r"was altered: the SHA-256 of its first 24 bytes",
        ),
        (lambda folder: (folder / "log.txt").unlink(), "log.txt", "cannot be read: No"),
        (
            lambda folder: (
                shutil.rmtree(folder / "checkpoints"),
                (folder / "checkpoints").write_text(""),
            ),
            "checkpoints",
            "Could not list the checkpoints in .*: Not a directory",
        ),
        (
            lambda folder: (folder / "run.json").write_text("{}"),
            "run.json",
            "run.json is not ours",
        ),
    ],
)
def test_each_damage_is_named_and_nothing_is_mended(
    finished, damage, thing, words, content, capsys
):
    damage(finished)
    before = content(finished)
    found = verdicts(finished, capsys, 1)
    damaged = {name for name, (verdict, _) in found.items() if verdict == "DAMAGED"}
    assert [name.partition(".2")[0] for name in damaged] == [thing]
    (name,) = damaged
    assert re.search(words, found[name][1])
    assert content(finished) == before


def test_files_of_another_run_are_found(finished, killed, capsys):
    (finished / "run.json").write_bytes((killed / "run.json").read_bytes())
    found = verdicts(finished, capsys, 1)
    assert found.pop("run.json")[0] == found.pop("log.txt")[0] == "ok"
    for verdict, words in found.values():
        assert verdict == "DAMAGED"
        assert "of another run" in words or "the history of the run" in words


def test_checkpoints_that_were_deleted_are_missed(finished, capsys):
    shutil.rmtree(finished / "checkpoints")
    verdict, words = verdicts(finished, capsys, 1)["checkpoints"]
    assert verdict == "DAMAGED"
    assert re.match(r"none is left, though step-\d+ was saved", words)


def test_a_run_that_has_only_just_begun_has_nothing_yet(finished, tmp_path, capsys):
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(finished / "run.json", begun)
    found = verdicts(begun, capsys, 0)
    assert found.pop("run.json")[0] == "ok"
    nothing = ("ok", "nothing yet: the run has only just begun")
    assert found == {"history.db": nothing, "log.txt": nothing}


def test_what_a_run_has_set_aside_is_named_and_is_no_damage(finished, capsys):
    path = newest(finished)
    path.rename(path.with_name(f"broken-{path.name}"))
    found = verdicts(finished, capsys, 0)
    assert found[f"broken-{path.name}"] == ("ok", "refused and set aside by the run")


def test_a_folder_without_a_run_ends_with_code_2(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "is no folder of a run" in capsys.readouterr().err
