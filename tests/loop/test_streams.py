"""The streams of a run stand still while it is saved, and go on in any case."""

import contextlib
import signal
import threading

import pytest

from ownloop.loop.streams import Streams


@pytest.fixture
def ctrl_c():
    """Let a Ctrl-C raise here, also in a session that does not hear of any."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_a_ctrl_c_while_streams_are_being_held_lets_all_of_them_go(ctrl_c):
    streams = Streams(say=lambda text: None)
    made = [streams.marks([i], "train", None, epoch=1) for i in range(6)]
    reading = list(streams._marks)[-1]  # The others are held before it.
    striking = threading.Timer(0.1, ctrl_c)
    striking.start()
    with reading.lock, pytest.raises(KeyboardInterrupt), streams.held():
        pytest.fail("a Ctrl-C on the way must not be lost")
    striking.join()
    assert [marks.lock.locked() for marks in made] == 6 * [False]


def test_streams_are_held_within_and_let_go_by_an_error():
    streams = Streams(say=lambda text: None)
    made = [streams.marks([i], "train", None, epoch=1) for i in range(3)]
    with contextlib.suppress(ValueError), streams.held():
        assert all(marks.lock.locked() for marks in made)
        raise ValueError
    assert not any(marks.lock.locked() for marks in made)
