"""Observers show what happens in a loop; they never steer it.

Each is a plain callable on the frozen records of `ownloop.events`. This room knows
no framework, and only `plots` in it knows Matplotlib.
"""

from ownloop.observers.console import Console
from ownloop.observers.progress import Progress

__all__ = ["Console", "Progress"]
