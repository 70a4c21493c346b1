"""Why a checkpoint is not loaded: one exception, for this room only.

Whoever looks at bytes raises it with what is wrong; `Store` adds which checkpoint it
was, and turns it into a `CheckpointError` or into a line of a report.
"""

from typing import final


@final
class RefusedError(Exception):
    """Something in a checkpoint is not as it was committed.

    Attributes:
        reason: What is wrong, beginning with the file's name where it is about one.
        remedy: What to do, where the usual advice does not fit.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
