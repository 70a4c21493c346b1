"""Gradients in a user's step: `GradientTape` and `value_and_grad`.

Thin over the contract: structures, defaults and errors live here, the recording and
the calculus in each backend's `gradient` file.
"""

from ownloop.tape.function import value_and_grad as value_and_grad
from ownloop.tape.gradient_tape import GradientTape as GradientTape
