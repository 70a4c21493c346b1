"""Who holds a lock, asked by somebody who wants nothing of it."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from ownloop.folder import Holder, RunLock, find_holder
from ownloop.folder.exclusive import claim

HOLDER = """
import sys
from ownloop.folder import RunLock

lock = RunLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
if sys.argv[2:] == ["release"]:
    lock.release()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def start(path, *words):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "held\n"
    return child


def test_a_process_that_has_the_lock_is_named_as_often_as_one_asks(path):
    child = start(path, "release")
    said = path.read_bytes()
    for _ in range(3):
        found = find_holder(path)
        assert found == Holder.of(path)
        assert (found.pid, found.host) == (child.pid, socket.gethostname())
    assert path.read_bytes() == said
    child.communicate("")
    assert find_holder(path) is None


def test_a_process_that_was_killed_has_nothing_though_its_words_are_there(path):
    child = start(path)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert Holder.of(path).pid == child.pid
    assert find_holder(path) is None


def test_where_no_run_has_been_nobody_is(path):
    assert find_holder(path) is None
    assert not path.exists()


def test_a_lock_of_this_very_process_is_seen_too(path):
    lock = RunLock(path)
    lock.acquire()
    assert find_holder(path).pid == os.getpid()
    lock.release()
    assert find_holder(path) is None


@pytest.mark.parametrize("words", [b"{}", b"no json", b"[1]", b'{"pid": "x"}', b"\xff"])
def test_a_holder_that_did_not_say_who_it_is_is_somebody(path, words):
    child = start(path)
    path.write_bytes(words)
    assert str(find_holder(path)) == "another process, which has not said who it is"
    child.communicate("")


def test_whoever_asks_all_the_time_keeps_no_run_from_beginning(path):
    # What a killed process has left is where an answer needs the lock for a moment.
    path.write_bytes(Holder.here().to_bytes())
    is_over = threading.Event()

    def ask():
        while not is_over.is_set():
            find_holder(path)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(100):
            file = os.open(path, os.O_RDWR)
            assert claim(file)  # it raises where somebody has the lock
            os.close(file)
    finally:
        is_over.set()
        for asker in askers:
            asker.join()
