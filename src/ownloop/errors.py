"""The tree of errors: every complaint that ownloop itself makes.

    OwnloopError
    ├── StepError      (ValueError)    what a step returns, or how it behaves
    ├── DataError      (ValueError)    what a batch or a data set looks like
    ├── LoopError      (RuntimeError)  how the loop, an epoch or a pass is used
    ├── TapeError      (RuntimeError)  how a tape is used, or what it cannot do
    │   ├── TapeValueError (ValueError)    what a tape was given
    │   └── TapeTypeError  (TypeError)     that it was given no tensor at all
    ├── HistoryError   (KeyError)      a name that was never logged
    ├── CheckpointError (RuntimeError) a checkpoint that cannot be saved or loaded
    ├── FolderError    (RuntimeError)  a run's folder, or a file in it
    ├── NonFiniteError (ArithmeticError)  a step whose result is NaN or infinite
    └── BackendError   (RuntimeError)  a backend that is unknown, missing or too old

Each message has three parts: what happened, with the value; what was expected;
what to do. Each class is also the built-in error that a reader would expect, so
`except ValueError` works. The user's own exceptions are never turned into these.
This file imports nothing.
"""


class OwnloopError(Exception):
    """The root of all errors that ownloop raises itself.

    Example:
        >>> issubclass(DataError, OwnloopError) and issubclass(DataError, ValueError)
        True
    """

    # Where a layer is called, Keras makes a new error of each, with other words and
    # control codes around its own, but for one that has this already.
    _keras_call_info_injected = True


class StepError(OwnloopError, ValueError):
    """A step returned, or did, something that a loop cannot work with."""


class DataError(OwnloopError, ValueError):
    """A batch, an array or a source of batches is not usable."""


class LoopError(OwnloopError, RuntimeError):
    """A loop, an epoch or a pass was used in an order that has no meaning."""


class TapeError(OwnloopError, RuntimeError):
    """A gradient was asked for that the tape cannot give."""


class TapeValueError(TapeError, ValueError):
    """A tape was given a value that it cannot work with."""


class TapeTypeError(TapeError, TypeError):
    """A tape was given something that is no tensor and no variable."""


class HistoryError(OwnloopError, KeyError):
    """A name was asked for that the history does not hold."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, quotes and escapes included.
        return str(self.args[0]) if self.args else ""


class CheckpointError(OwnloopError, RuntimeError):
    """A checkpoint could not be saved, or is not one that can be trusted."""


class FolderError(OwnloopError, RuntimeError):
    """A run's folder or a file in it is in use, foreign, damaged or not writable."""


class NonFiniteError(OwnloopError, ArithmeticError):
    """A step made a loss or the state NaN or infinite; it was undone.

    Attributes:
        evidence: What is needed to see why (`ownloop.guards.Evidence`): the step's
            batch, and the state before it.
    """

    def __init__(self, message: str, evidence: object = None) -> None:
        super().__init__(message)
        self.evidence = evidence


class BackendError(OwnloopError, RuntimeError):
    """A backend is unknown, not installed, or lacks something ownloop needs."""
