"""One checkpoint is written at a time, and no failure is lost."""

import subprocess
import sys
import threading

import pytest

from faults.disks import FailingDisk
from faults.samples import RUN, sample
from ownloop.checkpoints import Checkpoint, Store, Writer
from ownloop.errors import CheckpointError

PATIENCE = 30  # seconds until a test that hangs fails


class Gate:
    """A `save` that waits to be let through, and notes what is going on."""

    def __init__(self):
        self.open = threading.Event()
        self.entered = threading.Event()
        self.saved = []
        self.inside = 0
        self.most_inside = 0
        self.threads = set()

    def __call__(self, checkpoint):
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.threads.add(threading.current_thread())
        self.entered.set()
        assert self.open.wait(PATIENCE)
        self.saved.append(checkpoint.step)
        self.inside -= 1


def empty(step):
    return Checkpoint(step, {}, {})


def test_submitting_returns_while_the_checkpoint_is_being_written():
    gate = Gate()
    writer = Writer(gate)
    writer.submit(empty(1))
    assert gate.entered.wait(PATIENCE)
    assert writer.busy
    assert gate.saved == []
    writer.check()  # does not wait
    gate.open.set()
    writer.drain()
    assert not writer.busy
    assert gate.saved == [1]
    assert threading.current_thread() not in gate.threads


def test_a_second_one_waits_for_the_first():
    gate = Gate()
    writer = Writer(gate)
    writer.submit(empty(1))
    assert gate.entered.wait(PATIENCE)
    opener = threading.Timer(0.05, gate.open.set)
    opener.start()
    writer.submit(empty(2))
    assert gate.saved[:1] == [1]
    for step in range(3, 20):
        writer.submit(empty(step))
    writer.drain()
    opener.join()
    assert gate.saved == list(range(1, 20))
    assert gate.most_inside == 1


def test_checkpoints_are_committed_in_their_order(folder):
    store = Store(folder, run=RUN)
    writer = Writer(store.commit)
    for step in range(1, 6):
        writer.submit(sample(step))
    writer.drain()
    assert store.names() == [f"step-{step}" for step in range(1, 6)]
    assert store.newest().checkpoint.step == 5


def test_a_failure_is_raised_by_the_next_submit_and_then_one_may_go_on(folder):
    store = Store(folder, run=RUN, disk=FailingDisk(1, 5, verb="sync"))
    writer = Writer(store.commit)
    writer.submit(sample(1))
    with pytest.raises(CheckpointError, match="Could not save step 1"):
        writer.submit(sample(2))
    writer.submit(sample(2))
    writer.drain()
    assert store.names() == ["step-2"]


@pytest.mark.parametrize("verb", ["drain", "check"])
def test_a_failure_is_raised_once_by_whoever_asks_first(verb):
    def fail(checkpoint):
        raise CheckpointError(f"step {checkpoint.step} failed")

    writer = Writer(fail)
    writer.submit(empty(7))
    while writer.busy:
        pass
    with pytest.raises(CheckpointError, match="step 7 failed"):
        getattr(writer, verb)()
    writer.check()
    writer.drain()


def test_a_failure_nobody_asks_for_after_waiting_is_shown_as_python_ends():
    script = """
from ownloop.checkpoints import Checkpoint, Writer

def fail(checkpoint):
    raise OSError("no room at all")

writer = Writer(fail)
writer.submit(Checkpoint(1, {}, {}))
writer.wait()
print("went on")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == "went on\n"
    assert done.stderr.count("OSError: no room at all") == 1
