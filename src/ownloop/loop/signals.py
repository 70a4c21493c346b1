"""Ctrl-C and SIGTERM while a run has a folder: heard at once, obeyed after a save.

The first signal is a wish: the steps under way end, the run is saved, and then it
leaves as the signal would have made it. The second means now.
"""

import contextlib
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, final

_EXIT_CODE_OF_A_SIGNAL = 128
_SOON_SECONDS = 0.01

_LISTENING: "Final[weakref.WeakSet[Signals]]" = weakref.WeakSet()
"""Those of this process whose handlers are up."""


@final
class Signals:
    """Listens from `start` to `stop`, in Python's main thread only.

    Args:
        note: Is given the exception with which a signal leaves, before it is raised.
        can_save: Says whether the run can be saved before it leaves.

    Attributes:
        received: The signal that came; None while there was none.
    """

    def __init__(
        self, note: Callable[[BaseException], None], can_save: Callable[[], bool]
    ) -> None:
        self.received: int | None = None
        self._note = note
        self._can_save = can_save
        self._before: dict[int, Any] = {}
        # Whether the handlers are up although it was stopped.
        self._is_over = False

    def start(self) -> None:
        """Puts the handlers up; those of before come back with `stop`."""
        self.received, self._is_over = None, False
        if threading.current_thread() is not threading.main_thread():
            return
        for other in list(_LISTENING):
            if other._is_over:
                other.stop()
        if self._before:
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            # What somebody else has chosen, or was set outside Python, is left alone.
            if before in (signal.default_int_handler, signal.SIG_DFL):
                self._before[number] = before
                signal.signal(number, self._hear)
                _LISTENING.add(self)

    def stop(self) -> None:
        """Puts the handlers of before back.

        Where Python ends a round that is gone in another thread, which must not do
        that, it is done with the next signal, or by the next round.
        """
        if threading.current_thread() is not threading.main_thread():
            self._is_over = bool(self._before)
            return
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()
        _LISTENING.discard(self)

    def leave(self) -> None:
        """Does what the signal would have done.

        Raises:
            KeyboardInterrupt: It was Ctrl-C.
            SystemExit: It was another one; the exit code is 128 and its number.
        """
        number, self.received = self.received, None
        assert number is not None
        error: BaseException = SystemExit(_EXIT_CODE_OF_A_SIGNAL + number)
        if number == signal.SIGINT:
            error = KeyboardInterrupt()
        self._note(error)
        raise error

    def send_again(self) -> None:
        """Sends what was received once more, to the handlers of before.

        In a moment, from a thread, for a place in which nothing can be raised.
        """
        number, self.received = self.received, None
        if number is not None:
            again = threading.Timer(_SOON_SECONDS, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_over:
            self.stop()
            signal.raise_signal(number)
            return
        if self.received is not None:
            self.leave()
        self.received = number
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        what = "saving the run, then leaving"
        if not self._can_save():
            what = "leaving; in the middle of this epoch the run cannot be saved"
        # It may have come in the middle of another write, or nobody may be left to
        # read. An error would come out of whatever code runs now.
        with contextlib.suppress(Exception):
            sys.stderr.write(f"{name}: {what}; once more to leave now\n")


def _stop_in_child() -> None:
    for signals in list(_LISTENING):
        signals.received = None
        signals.stop()


# A child has no run to save, and a first signal that is a wish would never end it.
if sys.platform != "win32":  # which has no fork
    os.register_at_fork(after_in_child=_stop_in_child)
