"""One checkpoint is written while the next steps run.

Owns the thread, and that no failure in it is lost. What is handed over must not change
until it has been written: it is the caller who takes the snapshot.
"""

import atexit
import threading
from collections.abc import Callable
from typing import final

from ownloop.checkpoints.content import Checkpoint


@final
class Writer:
    """Saves checkpoints in a thread, one after the other and never two at a time.

    At the end of a program that did not wait for it, Python waits for the thread, so a
    checkpoint that was submitted is written, or the process was killed.

    Args:
        save: Writes a checkpoint: `Store.commit`, or a function that prunes as well. It
            is called in the thread.

    Example:
        >>> written = []
        >>> writer = Writer(lambda checkpoint: written.append(checkpoint.step))
        >>> writer.submit(Checkpoint(1, {}, {}))
        >>> writer.submit(Checkpoint(2, {}, {}))
        >>> writer.drain()
        >>> written
        [1, 2]
    """

    def __init__(self, save: Callable[[Checkpoint], object]) -> None:
        self._save = save
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._is_shown_at_exit = False

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being written now."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller is the thread that writes."""
        return self._thread is threading.current_thread()

    def submit(self, checkpoint: Checkpoint) -> None:
        """Begins to write a checkpoint; first waits for the one before.

        Raises:
            Exception: The one before failed. This one is then not written: submit it
                again to go on.
        """
        self.drain()
        self._thread = threading.Thread(
            target=self._run, args=(checkpoint,), name="ownloop-checkpoint"
        )
        self._thread.start()

    def check(self) -> None:
        """Raises the error of a checkpoint that failed, once; never waits.

        Raises:
            Exception: What `save` raised.
        """
        if not self.busy:
            self._raise()

    def drain(self) -> None:
        """Waits until nothing is being written.

        Raises:
            Exception: What `save` raised, if that was not raised before.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._raise()

    def wait(self) -> None:
        """Waits until nothing is being written, and raises nothing.

        An error is kept for the next call; if none comes, it is shown as Python ends.
        The thread that writes does not wait for itself.
        """
        if self._thread is not None and not self.is_this_thread:
            self._thread.join()
        if self._error is not None and not self._is_shown_at_exit:
            self._is_shown_at_exit = True
            atexit.register(self.check)

    def _run(self, checkpoint: Checkpoint) -> None:
        try:
            self._save(checkpoint)
        except (
            BaseException
        ) as error:  # whatever it is, it must not end with the thread
            self._error = error

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
