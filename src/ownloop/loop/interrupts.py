"""Ctrl-C, held back while state is being put in order, and known again.

A framework may make another error of one.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Delays an interrupt until the end of a block that must not be cut in two.

    Signals reach Python's main thread only, so elsewhere nothing has to be done.

    Example:
        >>> with held():
        ...     pass
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[tuple[Any, ...]] = []
    before = signal.getsignal(signal.SIGINT)
    if before is None:  # Set from outside Python, which cannot be put back.
        yield
        return
    signal.signal(signal.SIGINT, lambda *details: waiting.append(details))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting and callable(before):
            before(*waiting[-1])


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
