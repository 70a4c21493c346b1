"""What stands for a kill, in tests that stay in one process."""


class Killed(BaseException):
    """Stands for the end of a process: nothing is saved on the way out."""
