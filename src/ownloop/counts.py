"""How many there are of something, in words. This file imports nothing."""


def counted(number: int, one: str, more: str | None = None) -> str:
    """Returns a number with the word for what it counts.

    Args:
        number: How many there are.
        one: The word for one of them.
        more: The word for several; None stands for `one` with an s.

    Example:
        >>> counted(1, "step"), counted(1200, "step"), counted(0, "batch", "batches")
        ('1 step', '1,200 steps', '0 batches')
    """
    return f"{number:,} {one if number == 1 else more or one + 's'}"
