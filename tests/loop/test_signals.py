"""Handlers that are put up are put back, whoever ends the run that put them up."""

import signal
import threading

import pytest

from ownloop.loop.signals import Signals


def listening():
    signals = Signals(note=lambda error: None, can_save=lambda: True)
    signals.start()
    return signals


def stopped_elsewhere():
    """Return one that Python ended in another thread, as it may by itself."""
    signals = listening()
    thread = threading.Thread(target=signals.stop)
    thread.start()
    thread.join()
    return signals


def handlers():
    return [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]


def test_a_signal_is_not_for_a_run_that_was_ended_in_another_thread(capsys):
    before, signals = handlers(), stopped_elsewhere()
    assert handlers() != before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert handlers() == before
    assert signals.received is None
    assert capsys.readouterr().err == ""


def test_the_next_that_listens_puts_its_handlers_back(capsys):
    before = handlers()
    stopped_elsewhere()
    signals = listening()
    signal.raise_signal(signal.SIGINT)
    assert signals.received == signal.SIGINT
    assert "saving the run, then leaving" in capsys.readouterr().err
    signals.stop()
    assert handlers() == before


def test_who_listens_again_after_that_is_heard():
    before, signals = handlers(), stopped_elsewhere()
    signals.start()
    signal.raise_signal(signal.SIGTERM)
    assert signals.received == signal.SIGTERM
    signals.stop()
    assert handlers() == before
