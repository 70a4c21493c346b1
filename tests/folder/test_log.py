"""The log: what was written is there, up to where it was cut, and nowhere half."""

import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from ownloop.errors import FolderError
from ownloop.folder import Log


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path / "log.txt")
    log.open()
    yield log
    log.close()


def test_text_is_added_in_utf8_and_nothing_else_is(log, tmp_path):
    log.write("Epoch 1: löss ∇\r\n")
    log.write("\ud800 is no character\n")
    expected = "Epoch 1: löss ∇\r\n\\ud800 is no character\n".encode()
    assert (tmp_path / "log.txt").read_bytes() == expected
    assert log.length == len(expected)


def test_a_log_goes_on_where_it_was(log, tmp_path):
    log.write("one\n")
    log.close()
    log.open()
    log.open()
    assert log.length == 4
    log.write("two\n")
    assert (tmp_path / "log.txt").read_text() == "one\ntwo\n"


def test_what_came_after_a_length_is_taken_away_and_writing_goes_on(log, tmp_path):
    log.write("kept\n")
    log.sync()
    committed = log.length
    log.write("ß after\n")
    log.cut_back(committed)
    assert log.length == committed
    log.write("again\n")
    assert (tmp_path / "log.txt").read_text() == "kept\nagain\n"
    log.cut_back(0)
    assert log.length == 0


def test_a_log_that_is_too_short_is_refused_and_stays(log, tmp_path):
    log.write("short\n")
    with pytest.raises(
        FolderError, match=r"log\.txt has 6 bytes\. Expected at least 1,"
    ):
        log.cut_back(1000)
    assert (tmp_path / "log.txt").read_text() == "short\n"


def test_a_log_that_is_not_open_or_cannot_be_is_named(tmp_path):
    log = Log(tmp_path / "log.txt")
    log.close()
    with pytest.raises(
        FolderError, match=r"log\.txt is not open\. .* Call open\(\) fi"
    ):
        log.write("text")
    assert not (tmp_path / "log.txt").exists()
    (tmp_path / "folder").mkdir()
    with pytest.raises(FolderError, match=r"folder cannot be opened: Is a directory"):
        Log(tmp_path / "folder").open()
    with pytest.raises(FolderError, match=r"cannot be opened: No such file"):
        Log(tmp_path / "missing" / "log.txt").open()


def test_a_disk_that_is_always_full_is_an_error_with_the_name():
    full = Log("/dev/full")
    full.open()
    with pytest.raises(
        FolderError, match=r"/dev/full cannot be written: No space left"
    ):
        full.write("text")
    full.close()


FULL = """
import resource, sys
from ownloop.errors import FolderError
from ownloop.folder import Log

log = Log(sys.argv[1])
log.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, int(sys.argv[2])))
try:
    while True:
        log.write("a line of thirty-one characters\\n")
except FolderError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_no_half_line(tmp_path):
    path = tmp_path / "log.txt"
    done = subprocess.run(
        [sys.executable, "-c", FULL, path, str(resource.RLIM_INFINITY)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"{path} cannot be written: File too large. Expected" in done.stdout
    lines = path.read_text().splitlines()
    assert lines == ["a line of thirty-one characters"] * (1000 // 32)


def test_half_a_line_that_could_not_be_taken_away_goes_with_the_next(
    log, tmp_path, monkeypatch
):
    log.write("one\n")
    write = os.write

    def fail_after_half(file, content):
        if content == b"half":
            raise OSError(errno.EIO, "Input/output error")
        return write(file, content[:4])

    def refuse(file, length):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", fail_after_half)
        patch.setattr("os.ftruncate", refuse)
        with pytest.raises(FolderError, match="cannot be written: Input/output"):
            log.write("two half")
    assert (tmp_path / "log.txt").read_text() == "one\ntwo "
    assert log.length == 4
    log.write("three\n")
    assert (tmp_path / "log.txt").read_text() == "one\nthree\n"
    log.cut_back(log.length, digest=log.digest)


WRITER = """
import sys
from ownloop.folder import Log

log = Log(sys.argv[1])
log.open()
log.cut_back(int(sys.argv[2]))
for number in range(10**9):
    log.write(f"line {number}\\n")
    if number % 50 == 49:
        log.sync()
        print(log.length, flush=True)
"""


def test_what_a_killed_process_wrote_is_there_and_can_be_cut_back(tmp_path):
    path, committed = tmp_path / "log.txt", 0
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(committed)],
            stdout=subprocess.PIPE,
        )
        for _ in range(3):
            first = child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        said = first + child.communicate()[0]
        assert child.returncode == -signal.SIGKILL
        committed = int(said[: said.rfind(b"\n")].splitlines()[-1])
        assert os.path.getsize(path) >= committed
        kept = path.read_bytes()[:committed].decode()
        assert kept.endswith("\n")


def test_a_log_that_was_altered_is_refused_by_its_digest(tmp_path):
    log = Log(tmp_path / "log.txt")
    log.open()
    log.write("Epoch 1\n")
    length, digest = log.length, log.digest
    log.write("Epoch 2\n")
    log.close()
    again = Log(tmp_path / "log.txt")
    again.open()
    again.cut_back(length, digest=digest)
    assert again.digest == digest
    again.write("Epoch 2\n")
    assert again.digest == log.digest
    again.close()
    text = (tmp_path / "log.txt").read_bytes()
    (tmp_path / "log.txt").write_bytes(text.replace(b"Epoch 1", b"Epoch 7"))
    altered = Log(tmp_path / "log.txt")
    altered.open()
    with pytest.raises(FolderError, match=r"was altered.*Expected.*Put back the file"):
        altered.cut_back(length, digest=digest)
    altered.close()
    assert (tmp_path / "log.txt").stat().st_size == len(text)


def test_looking_at_a_log_cuts_nothing(tmp_path):
    log = Log(tmp_path / "log.txt")
    log.open()
    log.write("Epoch 1\n")
    length, digest = log.length, log.digest
    log.write("Epoch 2\n")
    log.verify(length, digest=digest)
    with pytest.raises(FolderError, match=r"was altered.*Expected.*Put back the file"):
        log.verify(length + 1, digest=digest)
    with pytest.raises(FolderError, match=r"has 16 bytes\. Expected at least 17"):
        log.verify(17, digest=digest)
    log.write("Epoch 3\n")
    log.close()
    assert (tmp_path / "log.txt").read_text() == "Epoch 1\nEpoch 2\nEpoch 3\n"


def test_a_log_that_is_a_link_is_refused_and_its_target_stays(tmp_path):
    mine = tmp_path / "thesis.txt"
    mine.write_text("mine")
    (tmp_path / "log.txt").symlink_to(mine)
    with pytest.raises(FolderError, match=r"log\.txt cannot be opened"):
        Log(tmp_path / "log.txt").open()
    assert mine.read_text() == "mine"
