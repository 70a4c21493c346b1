"""What was seen during a run: each step, each look, each epoch; and their files.

    History      all of it, by name; record_* on the loop's side, the rest for users
    StepColumns  history.steps: a value for each step
    Looks, Best  what history.looks, lowest and highest give
    Row          one epoch so far, which is what epoch["val_loss"] reads

This room knows NumPy only. The picture is drawn in observers/plots.
"""

from ownloop.history.columns import Best, Looks, StepColumns
from ownloop.history.history import History
from ownloop.history.rows import Row

__all__ = ["Best", "History", "Looks", "Row", "StepColumns"]
