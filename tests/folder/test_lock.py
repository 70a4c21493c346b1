"""One process at a time, however it ends; and the next one needs nobody's help."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from ownloop.errors import FolderError
from ownloop.folder import RunLock

HOLDER = """
import sys
from ownloop.folder import RunLock

lock = RunLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def start(code, path):
    child = subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "held\n"
    return child


def test_a_second_process_is_told_at_once_who_is_there(path):
    child = start(HOLDER, path)
    lock = RunLock(path)
    words = (
        rf"{re.escape(str(path.parent))} is in use by process {child.pid} on "
        rf"{re.escape(socket.gethostname())}, since \d{{4}}-.*\. Expected one run at a "
        r"time in a folder\. Wait for that run, stop it"
    )
    for attempt in (lock.acquire, lock.take_over):
        with pytest.raises(FolderError, match=words):
            attempt()
    assert not lock.held
    child.communicate("")  # it ends
    lock.acquire()
    assert json.loads(path.read_text())["pid"] == os.getpid()
    lock.release()


def test_after_kill_9_nothing_has_to_be_done_by_hand(path):
    for _ in range(3):
        child = start(HOLDER, path)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert json.loads(path.read_text())["pid"] == child.pid  # which means nothing
        lock = RunLock(path)
        lock.acquire()
        assert lock.held
        lock.release()


def test_a_lock_is_held_until_it_is_released(path):
    lock = RunLock(path)
    assert not lock.held
    assert not path.exists()
    lock.acquire()
    lock.acquire()
    assert lock.held
    lock.release()
    lock.release()
    assert not lock.held
    assert path.read_bytes() == b""
    start(HOLDER, path).communicate("")


def test_another_lock_of_this_process_is_refused_under_any_name_of_the_folder(path):
    first = RunLock(path)
    first.acquire()
    (path.parent / "link").symlink_to(path.parent)
    second = RunLock(path.parent / "link" / "lock")
    words = rf"in use by another loop in this process \({os.getpid()}\)\. Expected"
    with pytest.raises(FolderError, match=words):
        second.acquire()
    assert first.held
    assert not second.held
    first.release()
    second.acquire()
    second.release()


def test_a_lock_can_be_taken_over_within_the_process(path):
    first, second = RunLock(path), RunLock(path)
    first.acquire()
    second.take_over()
    assert (first.held, second.held) == (False, True)
    first.release()  # has nothing to give back
    assert second.held
    other = subprocess.run(
        [sys.executable, "-c", HOLDER, path], capture_output=True, text=True, timeout=60
    )
    assert f"process {os.getpid()} on" in other.stderr
    second.release()
    first.take_over()  # nobody has it
    assert first.held
    first.release()


# Other tests of this process may have imported JAX, which warns of every fork. The
# child here only looks and ends.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_child_after_a_fork_holds_nothing_and_may_not_take_it(path):
    lock = RunLock(path)
    lock.acquire()
    child = os.fork()
    if child == 0:
        held = lock.held
        lock.release()
        try:
            RunLock(path).take_over()
        except FolderError as error:
            os._exit(held or f"process {os.getppid()} on" not in str(error))
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert lock.held
    assert json.loads(path.read_text())["pid"] == os.getpid()
    other = subprocess.run([sys.executable, "-c", HOLDER, path], capture_output=True)
    assert b"is in use by process" in other.stderr
    lock.release()


FORKER = """
import os, sys
from ownloop.folder import RunLock

lock = RunLock(sys.argv[1])
lock.acquire()
child = os.fork() == 0
if child:
    print("held", flush=True)
sys.stdin.read()
print("outlived it")
"""


def test_a_child_that_outlives_its_parent_does_not_keep_the_folder(path):
    parent = start(FORKER, path)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    lock = RunLock(path)
    lock.acquire()
    lock.release()
    parent.stdin.close()
    assert parent.stdout.read() == "outlived it\n"
    parent.stdout.close()


@pytest.mark.parametrize("words", [b"", b"{}", b"no json", b"[1]", b"\xff"])
def test_a_holder_that_did_not_say_who_it_is_is_respected(path, words):
    child = start(HOLDER, path)
    path.write_bytes(words)
    with pytest.raises(
        FolderError, match=r"another process, which has not said who it "
    ):
        RunLock(path).acquire()
    child.communicate("")


def test_a_lock_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(
        FolderError, match=r"lock cannot be written: Is a directory\. Exp"
    ):
        RunLock(tmp_path / "lock").acquire()
    with pytest.raises(FolderError, match=r"lock cannot be written: No such file"):
        RunLock(tmp_path / "missing" / "lock").acquire()


UNLOCKED = """
import sys, warnings
sys.modules["fcntl"] = sys.modules["msvcrt"] = None
from ownloop.folder import RunLock

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    lock = RunLock(sys.argv[1])
    lock.acquire()
print(lock.held, said[0].category.__name__, said[0].message)
"""


def test_a_system_without_locks_is_worked_on_with_a_warning(path):
    done = subprocess.run(
        [sys.executable, "-c", UNLOCKED, path], capture_output=True, text=True
    )
    assert done.stdout.startswith(
        f"True RuntimeWarning {path.parent} cannot be locked: its system has no locks. "
        "Expected to keep a second process out."
    ), done.stderr


IMPATIENT = """
import sys
from ownloop.errors import FolderError
from ownloop.folder import RunLock

print("held", flush=True)  # by the one who started us
for _ in range(30):  # each asks for a tenth of a second
    try:
        RunLock(sys.argv[1]).acquire()
        print("free for a moment")
        break
    except FolderError:
        pass
"""


def test_while_a_lock_is_taken_over_it_is_never_free(path):
    old, new = RunLock(path), RunLock(path)
    old.acquire()
    child = start(IMPATIENT, path)
    while child.poll() is None:
        new.take_over()
        old, new = new, old
    assert child.communicate()[0] == ""
    assert old.held
    old.release()


CONTENDER = """
import sys
from ownloop.errors import FolderError
from ownloop.folder import RunLock

try:
    RunLock(sys.argv[1]).acquire()
    print("held", flush=True)
except FolderError:
    print("refused", flush=True)
sys.stdin.read()
"""


def test_of_many_that_come_together_one_gets_it(path):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    said = sorted(child.stdout.readline() for child in children)
    for child in children:
        child.communicate("")
    assert said == ["held\n"] + 5 * ["refused\n"]


def test_a_disk_that_complains_keeps_no_lock(path, monkeypatch):
    lock, other = RunLock(path), RunLock(path)
    lock.acquire()

    def refuse(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", refuse)
        lock.release()
    other.acquire()
    assert (lock.held, other.held) == (False, True)
    other.release()


def test_a_lock_that_is_a_link_is_refused_and_its_target_stays(tmp_path):
    mine = tmp_path / "thesis.txt"
    mine.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/lock").symlink_to(mine)
    with pytest.raises(FolderError, match="lock"):
        RunLock(tmp_path / "run/lock").acquire()
    assert mine.read_text() == "mine"
