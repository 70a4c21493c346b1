"""The words that every benchmark shares: the machine's name, medians with spread."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """Says what this machine computes with, in a few words."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    name = names[0].strip() if names else platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Returns the median, and the quartiles in brackets.

    Example:
        >>> spread([1, 2, 3, 4, 10], 0)
        '3 (2 to 4)'
    """
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
