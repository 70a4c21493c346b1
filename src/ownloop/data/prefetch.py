"""One thread that reads an iterable ahead of its reader, and the buffer between them.

Owns the order of what was read and how far ahead that may be. The thread alone calls
the user's iterator, and holds no lock while it does.
"""

import contextvars
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, final

import numpy as np

from ownloop.data.feed import Segment
from ownloop.data.marks import Marks
from ownloop.data.signature import Signature, examples
from ownloop.errors import DataError

# A thread inside the user's iterator cannot be interrupted. It is a daemon and ends
# when the iterator returns, so waiting for it any longer helps nobody.
_PATIENCE_SECONDS = 1.0

_END = object()


@final
class Prefetch:
    """The buffer between a reader, who calls `take`, and the thread that fills it.

    Args:
        iterable: Where the batches come from.
        float_type: What float64 becomes, such as `"float32"`.
        left: How many batches the pass has; None for all to the iterable's end.
        ahead: How many batches may wait; None for twice the latest limit.
        skip: How many batches to read first and throw away.
        marks: Reads the stream, and notes how far. Without marks it is only read.

    Example:
        >>> prefetch = Prefetch([[1], [2]], float_type="float32", left=3, ahead=0)
        >>> prefetch.take(10).leaves[0].tolist(), prefetch.take(10).leaves[0].tolist()
        ([[1], [2]], [[1]])
        >>> prefetch.close()
    """

    def __init__(
        self,
        iterable: Iterable[Any],
        *,
        float_type: str,
        left: int | None,
        ahead: int | None,
        skip: int = 0,
        marks: Marks | None = None,
    ) -> None:
        self._iterable = iterable
        self._float_type = float_type
        self._left = left
        self._ahead = ahead
        self._limit = 1  # of the latest take
        self._wanted = 0  # what a take is waiting for, just now
        self._blocks: deque[_Block] = deque()  # those with batches to read
        self._ended = False
        self._is_over = False  # the pass ended, and the reader was told
        self._is_between = False  # the iterable is at its end, to be read again
        self._failure: BaseException | None = None
        self._is_told = False  # the reader knows of the failure
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        # The thread's own: nobody else touches these.
        self._iterator: Iterator[Any] | None = None
        self._given = 0  # how many batches the open iterator has given
        self._skip = skip  # how many are still to be thrown away
        self._marks = marks
        self._open: _Block | None = None  # the block that is being written

    def begin(self, steps: int) -> None:
        """Begins a pass of `steps` batches; what was read ahead comes first.

        Where the last pass ended with a failure, and the data can be read again, they
        are read again, and the batches that were handed out already are left out.
        """
        if self._is_told:
            self._forget_failure()
        with self._changed:
            self._left = steps
            self._ended = False
            self._changed.notify_all()

    def take(self, limit: int) -> Segment | None:
        """Returns the next batches of equal signature; None at the end of the pass."""
        with self._changed:
            self._check_open()
            wanted = limit if self._left is None else min(limit, self._left)
            if wanted == 0:
                return None
            self._limit, self._wanted = limit, wanted
            self._start()
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._closed or self._is_ready(wanted))
            finally:
                self._wanted = 0
            self._check_open()
            if self._blocks:
                return self._collect(wanted)
            if self._failure is not None:
                self._is_told = True
                raise self._failure
            self._is_over = self._ended
            if self._is_over and self._marks is not None:
                self._marks.note_end()
            return None

    @property
    def is_over(self) -> bool:
        """Whether it was told that there are no more batches."""
        return self._is_over

    def join(self) -> None:
        """Waits for a closed buffer's thread, however long its next batch takes."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def close(self) -> None:
        """Ends the thread and drops what was read ahead."""
        with self._changed:
            self._closed = True
            self._blocks.clear()
            self._changed.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE_SECONDS)

    def _forget_failure(self) -> None:
        """Lets another thread read on, if it is known which batches to leave out."""
        can_be_read_again = not isinstance(self._iterable, Iterator)
        if self._thread is None or self._marks is None or not can_be_read_again:
            return
        self._thread.join()
        if not self._is_between:
            self._marks.go_back()
        self._thread = self._failure = None
        self._is_told = False

    # The reader's side, with the lock held.

    def _check_open(self) -> None:
        if self._closed:
            raise DataError(
                "A feed was read after it was closed. Expected no take() after "
                "close(). Make another feed for another pass."
            )

    def _start(self) -> None:
        if self._thread is None:
            context = contextvars.copy_context()
            self._thread = threading.Thread(
                target=context.run, args=(self._fill,), name="ownloop-feed", daemon=True
            )
            self._thread.start()

    def _is_ready(self, wanted: int) -> bool:
        """Says whether the next segment is whole: it can or need not grow any more."""
        if self._ended or self._failure is not None:
            return True
        if self._is_between and self._blocks:
            return True
        count = 0
        for block in self._blocks:
            if block.signature != self._blocks[0].signature:
                return True
            count += block.waiting
        return count >= wanted

    def _collect(self, wanted: int) -> Segment:
        """Cuts the next segment off the front of the buffer."""
        signature = self._blocks[0].signature
        parts: list[list[np.ndarray]] = []
        count = 0
        while count < wanted and self._blocks:
            block = self._blocks[0]
            if block.signature != signature:
                break
            part = min(wanted - count, block.waiting)
            parts.append(block.read(part))
            count += part
            if block.waiting == 0:
                self._blocks.popleft()
        if self._left is not None:
            self._left -= count
        self._changed.notify_all()
        if len(parts) > 1:
            parts = [[np.concatenate(pieces) for pieces in zip(*parts, strict=True)]]
        sizes, *leaves = parts[0]
        return Segment(signature=signature, count=count, sizes=sizes, leaves=leaves)

    # The thread's side.

    def _fill(self) -> None:
        try:
            while self._wait_for_room():
                batch = self._next()
                if batch is _END:
                    self._note_end()
                else:
                    self._put(batch)
        except BaseException as error:  # handed to the reader, as it is
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            self._iterator = None

    def _wait_for_room(self) -> bool:
        """Waits until another batch may be read; returns False if the feed closes.

        Lets the marks know what the reader does meanwhile.
        """
        with self._changed:
            has_rested = not self._has_room()
            self._changed.wait_for(lambda: self._closed or self._has_room())
            if self._marks is not None:
                is_awaited = self._missing > self._waiting
                who = self._marks.who_draws
                who.expect(is_awaited=is_awaited, has_rested=has_rested)
            return not self._closed

    @property
    def _waiting(self) -> int:
        return sum(block.waiting for block in self._blocks)

    @property
    def _missing(self) -> int:
        """How many batches must wait before the reader, if it waits, goes on."""
        return 0 if self._is_ready(self._wanted) else self._wanted

    def _has_room(self) -> bool:
        ahead = 2 * self._limit if self._ahead is None else self._ahead
        if self._marks is not None and not self._marks.may_read_ahead:
            ahead = 0
        room = max(ahead, self._missing)
        if self._left is not None:
            room = min(room, self._left)
        if self._is_between:
            # It is not opened before its batches are needed: it may draw from
            # generators of random numbers, and others may do so in the meantime.
            room = self._missing if self._waiting == 0 else 0
        return not self._ended and self._waiting < room

    def _next(self) -> Any:
        iterator = self._iterator = self._iterator or self._opened()
        while (batch := next(iterator, _END)) is not _END:
            self._given += 1
            if self._skip == 0:
                return batch
            self._skip -= 1
        if self._given == 0:
            raise _no_batch(self._iterable, once=isinstance(self._iterable, Iterator))
        self._iterator = None
        return _END

    def _opened(self) -> Iterator[Any]:
        if self._marks is None:
            self._given = 0
            return iter(self._iterable)
        self._given = self._marks.behind
        return self._marks.read(self._iterable)

    def _note_end(self) -> None:
        with self._changed:
            # A pass of a fixed length goes on; what is left decides.
            self._ended = self._left is None
            self._is_between = not self._ended
            self._changed.notify_all()

    def _put(self, batch: Any) -> None:
        signature, leaves = Signature.of_batch(batch, float_type=self._float_type)
        if self._open is None or not self._open.fits(signature):
            self._open = _Block(signature, leaves, capacity=self._limit)
        self._open.write(leaves)
        if self._marks is not None:
            self._marks.note(leaves)
        with self._changed:
            if self._closed:
                return
            self._open.written += 1
            self._is_between = False
            if not self._blocks or self._blocks[-1] is not self._open:
                self._blocks.append(self._open)
            self._changed.notify_all()


@final
class _Block:
    """Room for some batches of one signature, stacked where they are first written."""

    def __init__(
        self, signature: Signature, leaves: list[np.ndarray], capacity: int
    ) -> None:
        self.signature = signature
        self.capacity = capacity
        self.sizes = np.empty(capacity, dtype=np.int64)
        self.leaves = [
            np.empty((capacity, *leaf.shape), dtype=leaf.dtype) for leaf in leaves
        ]
        self.written = 0  # raised by the writer, under the lock, after each write
        self.done = 0  # how many of those were read

    @property
    def waiting(self) -> int:
        return self.written - self.done

    def fits(self, signature: Signature) -> bool:
        return self.written < self.capacity and self.signature == signature

    def write(self, leaves: list[np.ndarray]) -> None:
        # Views that were read lie before this place and are never written again.
        self.sizes[self.written] = examples(leaves)
        for stack, leaf in zip(self.leaves, leaves, strict=True):
            stack[self.written] = leaf

    def read(self, count: int) -> list[np.ndarray]:
        part = slice(self.done, self.done + count)
        self.done += count
        return [self.sizes[part], *(leaf[part] for leaf in self.leaves)]


def _no_batch(iterable: Any, *, once: bool) -> DataError:
    kind = type(iterable).__name__
    if once:
        return DataError(
            f"The data, a {kind}, gave no batch: it can be read only once, and it was "
            "empty or read to its end before. Expected data that can be read again "
            "for each pass. Pass a list, a tf.data.Dataset, or a class with __iter__ "
            "that makes a new iterator each time."
        )
    return DataError(
        f"The data, a {kind}, gave no batch. Expected at least one. Check how the "
        "data were selected, and that drop_remainder did not drop the only batch."
    )
