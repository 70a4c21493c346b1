"""A wrapper is there while anybody listens, and each thread hears its own."""

import threading

import pytest

from ownloop.backends.wrapping import Wrapping


class Bell:
    """Rings."""

    def ring(self):
        return "ding"


class Alarm(Bell):
    """Has nothing of its own."""


@pytest.fixture
def wrapping():
    plain = Bell.ring

    def ring(bell):
        return f"{plain(bell)} to {', '.join(wrapping.listeners) or 'nobody'}"

    wrapping = Wrapping(lambda: [(Bell, "ring", ring), (Alarm, "ring", ring)])
    return wrapping


def test_classes_are_as_they_were_when_the_last_one_has_ended(wrapping):
    plain = Bell.ring
    wrapping.begin("one")
    wrapping.begin("other")
    wrapping.end("one")  # It has begun first, and ends first.
    assert Bell().ring() == Alarm().ring() == "ding to other"
    wrapping.end("other")
    assert Bell.ring is plain
    assert "ring" not in vars(Alarm)


def test_they_are_told_in_the_order_in_which_they_began(wrapping):
    for name in ("one", "other"):
        wrapping.begin(name)
    assert Bell().ring() == "ding to one, other"
    for name in ("one", "other"):
        wrapping.end(name)


def test_another_thread_is_wrapped_and_has_no_listener(wrapping):
    heard = []
    wrapping.begin("one")
    thread = threading.Thread(target=lambda: heard.append(Bell().ring()))
    thread.start()
    thread.join()
    wrapping.end("one")
    assert heard == ["ding to nobody"]
