"""Says on the terminal what a person should read now; keeps quiet otherwise."""

from __future__ import annotations

import sys
from typing import TextIO, final

from ownloop.events import Event, Notice


@final
class Console:
    """Prints each notice as one line, such as "ownloop: compiling train_step".

    Compiling may take seconds in which nothing else is seen to happen, so a loop says
    what it is doing. The lines go to standard error and leave a program's own output
    as it is.

    Args:
        stream: Where to print; None stands for `sys.stderr` at that moment.

    Example:
        >>> import sys
        >>> Console(sys.stdout)(Notice("compiling train_step"))
        ownloop: compiling train_step
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            # Asked for now and not in the constructor: a progress bar or a test may
            # have put its own stream there meanwhile.
            stream = self._stream or sys.stderr
            stream.write(f"ownloop: {event.text}\n")
            stream.flush()
