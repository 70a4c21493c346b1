"""What was seen during a run: each step, each look, each epoch; and their files.

    History      all of it, by name; record_* on the loop's side, the rest for users
    StepColumns  history.steps: a value for each step
    Looks, Best  what history.looks, lowest and highest give
    Row          one epoch so far, which is what epoch["val_loss"] reads

A file that grows with the run is `database.Database`, for the run and not for users:
it needs SQLite, which not every Python has, and so it is imported by its full name.

This room knows NumPy only. The picture is drawn in observers/plots.
"""

from ownloop.history.columns import Best, Looks, StepColumns
from ownloop.history.history import History
from ownloop.history.rows import Row

__all__ = ["Best", "History", "Looks", "Row", "StepColumns"]
