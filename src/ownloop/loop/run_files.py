"""The files of one run: opened, cut back, and made durable in the right order.

Owns that a checkpoint never says more than what lies beside it: first the history and
the log are made durable, then the state is written, and only then is an older
checkpoint deleted. Knows nothing of what the state is.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, final

from ownloop.checkpoints import Checkpoint, Keep, Newest, Store, Writer, names_to_keep
from ownloop.errors import CheckpointError, FolderError
from ownloop.folder import Layout, Log, RunLock
from ownloop.guards import Evidence
from ownloop.history import History
from ownloop.history.database import Database
from ownloop.history.records import Record
from ownloop.history.tally import Mark
from ownloop.loop.evidence_file import keep
from ownloop.loop.kept_here import KeptHere

_FLUSH_SECONDS = 1.0
"""The history's rows are written about once a second, and before each checkpoint."""


@final
class RunFiles:
    """What lies in a run's folder, for the one process that writes there.

    Args:
        folder: Where; made when it is opened.
        keep: Which checkpoints stay.

    Attributes:
        folder: Where, from the root of the file system.
    """

    def __init__(self, folder: Path, keep: Keep) -> None:
        # Once for all: the script may change its directory on its way.
        self.folder = folder.absolute()
        self._layout = Layout(self.folder)
        self._kept_here = KeptHere(self.folder)
        self._keep = keep
        self._lock = RunLock(self._layout.lock)
        self._log = Log(self._layout.log)
        self._database = Database(self._layout.history)
        self._store: Store | None = None
        self._evidence: Store | None = None
        self._writer = Writer(self._commit)
        self._records: list[Record] = []
        self._flushed = time.monotonic()
        self._values: dict[str, float] = {}
        # The latest checkpoint, and whether the history says that there was one.
        self._saved: str | None = None
        self._is_noted = False
        # Why an older checkpoint could not be deleted, and whether that was told.
        self._trouble = ""
        self._is_told = False

    # ---------------------------------------------------------- open and close

    @property
    def is_open(self) -> bool:
        """Whether the files are open, or were before they were taken over."""
        return self._store is not None

    @property
    def was_taken_over(self) -> bool:
        """Whether another loop of this process has taken the open files over."""
        return self.is_open and not self._lock.held

    @property
    def was_kept_here(self) -> bool:
        """Whether this process has kept the run that is here, perhaps by another loop.

        Not where another process has saved it since.
        """
        return self._kept_here.has_checkpoint(self._saved)

    def note_objects(self, objects: Iterable[Any]) -> None:
        """Takes note of the objects whose run is kept here."""
        self._kept_here.note_objects(objects)

    def has_kept(self, thing: Any) -> bool:
        """Whether this process has kept the run that is here, of this very object."""
        return self.was_kept_here and self._kept_here.has_object(thing)

    @property
    def newest(self) -> str | None:
        """The name of the checkpoint saved or found last; None: there is none."""
        return self._saved

    @property
    def by(self) -> str | None:
        """The value by which checkpoints are kept, if any are."""
        return self._keep.by

    def check_ours(self) -> None:
        """Refuses to go on where another loop has taken the folder over.

        The same in a process that was forked, in which no loop has it.

        Raises:
            FolderError: It was.
        """
        if not self._lock.held:
            raise FolderError(
                f"{self.folder} was taken over by another loop of this process, or "
                "this is a fork of it. Expected one loop at a time. Go on with that "
                "loop, or make this one anew."
            )

    def open(self, *, may_continue: bool) -> Newest:
        """Takes the lock and opens what is there; returns the newest checkpoint.

        Raises:
            FolderError: The folder cannot be used, or has a run and must not.
            CheckpointError: There are checkpoints, and none can be trusted.
        """
        self._layout.prepare()
        self._lock.take_over()
        self._kept_here.save_after_others(self._writer)
        run = self._layout.identify()
        store = Store(self._layout.checkpoints, run=run)
        self._evidence = Store(self._layout.nonfinite, run=run)
        self._log.open()
        if not self.is_open:
            self._database.open(run=run)
        found = store.newest()
        self._check_found(found.name, may_continue=may_continue)
        if self._keep.by is not None:
            for name in store.names():
                # One that is damaged is no reason not to go on from another.
                with contextlib.suppress(CheckpointError):
                    self._note_value(name, store.meta(name))
        self._store, self._saved = store, found.name
        return found

    def _check_found(self, name: str | None, *, may_continue: bool) -> None:
        """Refuses a run that must not be continued, or of which nothing is left."""
        saved = self._database.saved()
        self._is_noted = saved is not None
        if name is None and saved is not None:
            raise FolderError(
                f"{self.folder} has no checkpoint, though {saved} was saved there. "
                "Expected one to continue from: if the run began anew, its history "
                "and log would be lost. Bring one back from a copy, or choose another "
                "folder; delete this one if nothing in it is needed."
            )
        where = f"at {name}" if name else "which was left before its first save"
        has_run = name is not None or self._log.length or self._database.has_rows()
        if has_run and not may_continue:
            raise FolderError(
                f"{self.folder} has a run in it, {where}, and `resume` is False. "
                "Expected a folder without a run. Choose another folder, or leave "
                "`resume` out to continue the run."
            )

    def set_aside(self, name: str) -> None:
        """Renames a checkpoint that cannot be trusted, so that none is left behind."""
        assert self._store is not None
        self._store.set_aside(name)

    def close(self) -> None:
        """Lets go of everything; whoever mends what was wrong may open it again."""
        self._database.close()
        self._log.close()
        self._lock.release()
        self._store = None

    def close_with(self, owner: object) -> None:
        """Lets go of everything when the owner is gone; at Python's end nothing does.

        Args:
            owner: Nothing that is known here, or it would stay for ever.
        """
        weakref.finalize(owner, self._let_go).atexit = False

    def _let_go(self) -> None:
        # Python looks for what is gone in whatever thread runs, so also in this one.
        if self._writer.is_this_thread:
            threading.Thread(target=self._let_go, name="ownloop-let-go").start()
            return
        self._writer.wait()
        # In a cycle with its loop, a round that nobody ended is ended after this.
        with contextlib.suppress(FolderError):
            self.flush()
        self.close()

    def begin_anew(self) -> None:
        """Takes away what a process left that was killed before it first saved."""
        self._records.clear()
        self._database.cut_back(Mark.of_nothing())
        self._log.cut_back(0)

    def verify(self, files: Mapping[str, Any]) -> None:
        """Sees that what a checkpoint is about is there; nothing is changed.

        Raises:
            FolderError: It is not, or was altered.
        """
        self._database.verify(Mark.from_json(files["history"]))
        self._log.verify(files["log"], digest=files["log digest"])

    def cut_back(self, files: Mapping[str, Any]) -> History:
        """Takes away what came after a checkpoint; returns the history up to it.

        Raises:
            FolderError: What the checkpoint is about is not there, or was altered.
        """
        self._records.clear()
        self._database.cut_back(Mark.from_json(files["history"]))
        self._log.cut_back(files["log"], digest=files["log digest"])
        return self._database.load()

    # ------------------------------------------------------------------ writing

    def follow(self, history: History) -> None:
        """Keeps a run here: writes down what its history records from now on."""
        self._kept_here.note_checkpoint(self._saved)
        history.follow(self._records.append)

    def write(self, line: str) -> None:
        """Adds a line to the log.

        Raises:
            FolderError: It cannot be written, or was taken over.
        """
        self.check_ours()
        self._log.write(line + "\n")

    def flush(self) -> None:
        """Writes the history's new rows, where others can read them.

        Where the folder was taken over they are nobody's, and it does nothing.
        """
        if self._is_ours and self._records:
            self._database.append(self._records)
            self._records.clear()
        self._note_saved()
        self._flushed = time.monotonic()

    def flush_if_due(self) -> None:
        """Does so about once a second."""
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def _note_saved(self) -> None:
        """Lets the history say that there was a checkpoint, should it be deleted."""
        if self._is_ours and self._saved is not None and not self._is_noted:
            self._database.note_saved(self._saved)
            self._is_noted = True

    @property
    def _is_ours(self) -> bool:
        return self.is_open and self._lock.held

    @property
    def is_busy(self) -> bool:
        """Whether a checkpoint is being written now."""
        return self._writer.busy

    def begin_commit(
        self,
        capture: Callable[[Mapping[str, Any]], Checkpoint],
        history: History,
        step: int,
    ) -> None:
        """Makes the files durable, and writes a checkpoint while other things run.

        Args:
            capture: Copies the state, given how much of the files belongs to it.
            history: Where the value is by which checkpoints are kept.
            step: How many steps the run has done.

        Raises:
            CheckpointError: The one before could not be written.
            FolderError: The files cannot be written, or were taken over.
        """
        self.check_ours()
        if not self._lock.is_in_place:
            raise FolderError(
                f"{self.folder} was deleted, or made again, while this run wrote in "
                "it. Expected a folder that stays; what is there now may be another "
                "run's. Begin anew in a folder of its own."
            )
        self.flush()
        self._log.sync()
        files = {
            "history": self._database.mark().to_json(),
            "log": self._log.length,
            "log digest": self._log.digest,
            "value": self._value(history, step),
        }
        self._writer.submit(capture(files))

    def check(self) -> None:
        """Raises the error of a checkpoint that could not be written.

        Raises:
            CheckpointError: It could not.
            FolderError: Another loop has taken the folder over.
        """
        self.check_ours()
        self._writer.check()

    def drain(self) -> None:
        """Waits until no checkpoint is being written.

        Raises:
            CheckpointError: It could not be written.
        """
        self._writer.drain()
        self._note_saved()

    def trouble(self) -> str:
        """Says, once, why older checkpoints cannot be deleted; empty where they can."""
        trouble = self._trouble
        if self._is_told or not trouble:
            return ""
        self._is_told = True
        return trouble

    def wait(self) -> None:
        """Waits so, and leaves an error for the next call, or for Python's end."""
        self._writer.wait()
        # It is noted the next time, too.
        with contextlib.suppress(FolderError):
            self._note_saved()

    def names(self) -> list[str]:
        """Returns the names of the checkpoints that are there, oldest first.

        Raises:
            CheckpointError: One could not be written, or the folder cannot be read.
        """
        if self._store is None:
            return []
        self.drain()
        return self._store.names()

    def meta(self, name: str) -> Mapping[str, Any]:
        """Returns the words and numbers of one of them."""
        assert self._store is not None
        return self._store.meta(name)

    def load(self, name: str) -> Checkpoint:
        """Returns one of them, after all of it was verified.

        Raises:
            CheckpointError: It is damaged.
        """
        assert self._store is not None
        return self._store.load(name)

    def keep_evidence(self, evidence: Evidence) -> None:
        """Keeps a step that went wrong; a run that is continued meets it again."""
        assert self._evidence is not None
        self.check_ours()
        keep(evidence, self._evidence)

    def _commit(self, checkpoint: Checkpoint) -> None:
        """Commits a checkpoint and deletes those that are not kept; in the thread."""
        assert self._store is not None
        self._saved = name = self._store.commit(checkpoint)
        self._kept_here.note_checkpoint(name)
        self._note_value(name, checkpoint.meta)
        try:
            kept = names_to_keep(self._store.names(), self._keep, self._values)
            self._store.prune(kept)
            self._trouble, self._is_told = "", False
        except CheckpointError as error:
            # The new one is safe. An old one takes room, and no run ends for that.
            self._trouble = str(error)

    def _value(self, history: History, step: int) -> str | None:
        """Returns the value of this very state by which it is kept, exactly."""
        by = self._keep.by
        if by is None or by not in history.names:
            return None
        looks = history.looks(by)
        is_of_now = looks.step[-1] == step and looks.value.ndim == 1
        return float(looks.value[-1]).hex() if is_of_now else None

    def _note_value(self, name: str, meta: Mapping[str, Any]) -> None:
        value = meta["files"]["value"]
        if value is not None:
            self._values[name] = float.fromhex(value)
