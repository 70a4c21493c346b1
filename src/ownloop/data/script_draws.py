"""What a script was seen to draw while a stream that it reads was at rest."""

from typing import final


@final
class ScriptDraws:
    """What is known, at one place where streams are read, of what others draw.

    On PyTorch a step with unseeded Dropout draws from the generator of the process, and
    while a batch is read ahead it cannot be seen who drew, the stream or the script.
    Between two batches it was not the stream.

    Attributes:
        names: The generators that were drawn from between two batches.
        is_watched: Whether a stream was at rest here while the script used what it had
            got. Before that, nothing is read ahead of a run that can be continued.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.is_watched = False
