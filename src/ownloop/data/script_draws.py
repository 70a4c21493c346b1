"""What a script was seen to draw while a stream of its was at rest."""

from typing import final


@final
class ScriptDraws:
    """What is known of the script's own draws at one place where it reads a stream.

    A step in PyTorch with Dropout draws from the generator of the process, and while a
    batch is read ahead it cannot be seen who drew, the stream or the script. Between
    two batches only the script can have drawn.

    Attributes:
        names: The generators that the script has drawn from between two batches.
        is_watched: Whether a stream was at rest here while the script used what it
            had got. Before that, nothing is read ahead.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.is_watched = False
