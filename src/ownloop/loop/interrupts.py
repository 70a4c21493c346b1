"""Ctrl-C and SIGTERM, held back while state is being put in order; Ctrl-C known again.

A framework may make another error of one.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


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
    with _held(signal.SIGINT), _held(signal.SIGTERM):
        yield


@contextlib.contextmanager
def _held(number: signal.Signals) -> Iterator[None]:
    waiting: list[tuple[Any, ...]] = []
    before = signal.getsignal(number)
    if before is None:  # Set from outside Python, which cannot be put back.
        yield
        return
    signal.signal(number, lambda *details: waiting.append(details))
    try:
        yield
    finally:
        signal.signal(number, before)
        for details in waiting:  # Of two the second may mean more.
            if callable(before):
                before(*details)
            else:
                signal.raise_signal(number)


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
