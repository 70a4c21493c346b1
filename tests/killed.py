"""What stands for a kill, in tests that stay in one process."""

from ownloop.loop import kept_here


class Killed(BaseException):
    """Stands for the end of a process: nothing is saved on the way out."""


def end_of_process(loop):
    """Let go of a loop's folder, and forget that it was ever this process'."""
    files = loop._run.home._files
    files.close()
    kept_here._CHECKPOINTS.pop(files.folder.resolve(), None)
