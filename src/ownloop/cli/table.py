"""Rows of words and numbers as columns on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = ("kB", "MB", "GB", "TB")


def draw_rows(rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> list[str]:
    """Returns rows of equal length as lines; numbers stand to the right.

    Args:
        rows: The words of each row, the head first.
        numbers: Whether each column is one of numbers.

    Example:
        >>> draw_rows([("run", "steps"), ("first", "10")], (False, True))
        ['run    steps', 'first     10']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            word.rjust(width) if is_number else word.ljust(width)
            for word, width, is_number in zip(row, widths, numbers, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def size_in_words(size: int) -> str:
    """Returns a size in words, in units of a thousand.

    Example:
        >>> size_in_words(999), size_in_words(6_812_400)
        ('999 B', '6.8 MB')
    """
    if size < 1000:
        return f"{size} B"
    number, place = size / 1000, 0
    while (
        number >= 999.95 and place < len(_UNITS) - 1
    ):  # which would be shown as 1000.0
        number, place = number / 1000, place + 1
    return f"{number:.1f} {_UNITS[place]}"
