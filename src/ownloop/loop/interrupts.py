"""Ctrl-C and SIGTERM, held back while state is being put in order; Ctrl-C known again.

A framework may make another error of one.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, final


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Delays both until the end of a block that must not be cut in two.

    Signals reach Python's main thread only, so elsewhere nothing has to be done.

    Example:
        >>> with held():
        ...     pass
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # One within the other: what one of them raises leaves no handler behind.
    with _Held(signal.SIGINT), _Held(signal.SIGTERM):
        yield


@final
class _Held:
    """One of them. It is entered for each chunk, and a generator would cost more."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self._waiting: list[tuple[Any, ...]] = []

    def __enter__(self) -> None:
        self._before = signal.getsignal(self._number)
        if self._before is not None:  # Else it was set from outside Python.
            signal.signal(self._number, self._wait)

    def _wait(self, *details: Any) -> None:
        self._waiting.append(details)

    def __exit__(self, *error: object) -> None:
        if self._before is None:
            return
        signal.signal(self._number, self._before)
        for details in self._waiting:  # Of two the second may mean more.
            if callable(self._before):
                self._before(*details)
            else:
                signal.raise_signal(self._number)


@contextlib.contextmanager
def recognized() -> Iterator[None]:
    """Raises as a Ctrl-C what a framework has made of one.

    In the middle of a call into TensorFlow's own code it leaves half an operation, over
    which the end of the graph then falls with Python's internal error.

    Raises:
        KeyboardInterrupt: There was one behind a `SystemError`.

    Example:
        >>> with recognized():
        ...     pass
    """
    try:
        yield
    except SystemError as error:
        behind = error.__context__
        while behind is not None and not isinstance(behind, KeyboardInterrupt):
            behind = behind.__context__
        if behind is None:
            raise
        raise KeyboardInterrupt from error
