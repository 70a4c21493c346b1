"""When a run is saved, and what a checkpoint needs to know of the time before it.

Owns when the last checkpoint was and when the next one is due, what a call under way
began with, and committing. Whether a run may be saved where it is, is known by
`run_folder.py`; what is in a checkpoint by `capture.py`, and how it comes to the disk
by `run_files.py`.
"""

import difflib
import time
from collections.abc import Callable, Mapping
from typing import final

from ownloop.clock import SaveEvery
from ownloop.loop.capture import Draws, Tracked, capture, memory_texts
from ownloop.loop.changes import Changes
from ownloop.loop.run import Run
from ownloop.loop.run_files import RunFiles
from ownloop.resume.calls import Call
from ownloop.resume.place import Open


def nowhere() -> None:
    """Says that no pass is under way."""


@final
class Saving:
    """Saves a run, when it is time to and whenever it is asked to.

    Args:
        files: Where it is saved.
        run: The run.
        tracked: What is known of it beside its numbers.
        changes: What was changed while it rested: forgotten once a checkpoint has it.
        when: When to save beside the ends of epochs.
    """

    def __init__(
        self,
        files: RunFiles,
        run: Run,
        tracked: Tracked,
        changes: Changes,
        when: SaveEvery,
    ) -> None:
        self._files = files
        self._run = run
        self._tracked = tracked
        self._changes = changes
        self._when = when
        self._saved_step, self._saved_time = 0, time.monotonic()
        # The call that began last, and what had been drawn then.
        self._start: tuple[Call, Draws] | None = None
        # By call under way, what was in `loop.memory` when it began, by key.
        self._memory_before: dict[int, Mapping[str, str]] = {}
        self._is_warned = False

    # -------------------------------------------------------------------- when

    def count_from_here(self) -> None:
        """Takes note that the folder was opened: all that the run has is in it."""
        self._saved_step, self._saved_time = self._run.step, time.monotonic()

    def steps_left(self, step: int) -> int | None:
        """Says how many steps may run before the next save by count."""
        return self._when.steps_left(step)

    def is_due(self) -> bool:
        """Whether it is time to save, by seconds or by the count of steps."""
        step, when = self._run.step, self._when
        if when.seconds is not None:
            is_late = time.monotonic() - self._saved_time > when.seconds
            if is_late and not self._files.is_busy:
                return True
        is_new = step > self._saved_step
        return when.steps is not None and is_new and step % when.steps == 0

    # --------------------------------------------------------- what calls began with

    def note_start(self, call: Call) -> None:
        """Takes note of what has been drawn, and is in `loop.memory`, as a call begins.

        A call that goes on has begun in an earlier process, which has kept its memory.
        """
        self._memory_before[call.number] = (
            memory_texts(self._run.memory) if call.open is None else call.open["memory"]
        )
        with self._run.data.streams.held():
            self._start = call, Draws.until_now(self._run)

    def memory_changed_by(self, call: Call) -> dict[str, str | None]:
        """Returns what has changed in `loop.memory` since a call began, as it ends.

        By key, as JSON; None for what is no longer there.
        """
        before = self._memory_before.pop(call.number, {})
        now = memory_texts(self._run.memory)
        keys = dict.fromkeys([*before, *now])
        return {key: now.get(key) for key in keys if before.get(key) != now.get(key)}

    # -------------------------------------------------------------- committing

    def begin(
        self, where: Callable[[], Open | None] = nowhere, call: Call | None = None
    ) -> None:
        """Copies the state, and writes it while the next steps run.

        Args:
            where: Says where the call under way stands.
            call: That one, if there is one.
        """
        before = None if call is None else self._memory_before.get(call.number)

        def here() -> Open | None:
            open = where()
            return None if open is None else {**open, "memory": before}

        latest, draws = self._start or (None, None)
        start = draws if call is not None and latest is call else None
        self._changes.forget_saved(self._files.newest)
        self._tell_of_trouble()
        self._files.begin_commit(
            lambda files: capture(self._run, self._tracked, here, files, start),
            self._run.history,
            self._run.step,
        )
        self._saved_step, self._saved_time = self._run.step, time.monotonic()

    def now(
        self, where: Callable[[], Open | None] = nowhere, call: Call | None = None
    ) -> None:
        """Saves, and waits until that is done; see `begin`."""
        self._files.drain()
        self.begin(where, call)
        self._files.drain()

    def end_epoch(self, *, is_only_chance: bool) -> None:
        """Saves the end of an epoch, or leaves it out while the disk is slower.

        Not where a value decides which of these ends stay.

        Args:
            is_only_chance: Whether nothing within the epoch could be saved.
        """
        must_be = is_only_chance or self._files.by is not None
        if must_be or not self._files.is_busy:
            self._files.drain()
            self._check_value_is_known()
            self.begin()

    def end_round(self) -> None:
        """Waits until all is saved that was begun."""
        self._files.drain()
        self._tell_of_trouble()

    def _tell_of_trouble(self) -> None:
        if trouble := self._files.trouble():
            self._run.say(
                f"older checkpoints stay until they can be deleted: {trouble}"
            )

    def _check_value_is_known(self) -> None:
        by, names = self._files.by, self._run.history.names
        if by is not None and by not in names and not self._is_warned:
            self._is_warned = True
            near = difflib.get_close_matches(by, names, n=1)
            self._run.say(
                f"no checkpoint is the best one: {by!r} is none of the values of an "
                f"epoch, {', '.join(names) or 'of which there are none'}"
                f"{f'; did you mean {near[0]!r}?' if near else ''}"
            )
