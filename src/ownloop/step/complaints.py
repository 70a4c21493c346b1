"""Complaints of Keras' optimizers, in words that say what to do.

Keras has no classes for them: they are known by their words, and by the file that they
come from, so that an exception of the user's is never taken for one.
"""

import keras

from ownloop.errors import StepError

_NO_GRADIENT = "No gradients provided for any variable"
_UNKNOWN = "Unknown variable:"


def explain(error: ValueError) -> None:
    """Raises a clearer error from an optimizer's complaint, or adds a note to it.

    Any other exception is left as it is.

    Raises:
        StepError: The optimizer got no gradient for any variable.
    """
    text = str(error)
    if not text.startswith((_NO_GRADIENT, _UNKNOWN)) or not _is_from_keras(error):
        return
    if text.startswith(_UNKNOWN):
        error.add_note(
            "An optimizer makes its state for the variables of its first step. Where "
            "layers are unfrozen later, build it with all of them before any is "
            "frozen: `optimizer.build(model.trainable_variables)`."
        )
        return
    raise StepError(
        f"The optimizer {_complaining(error)!r} got no gradient at all: the loss "
        "depends on none of the variables. Expected a loss that is computed from them "
        "inside the tape's block. Compute it in `with ol.GradientTape() as tape:` with "
        "tensor operations only, and look for NumPy, `float(...)`, an integer dtype or "
        "an arg-max on the way, through which no gradient passes."
    ) from error


def _complaining(error: ValueError) -> str:
    """Returns the name of the optimizer that was called, as the traceback has it."""
    place = error.__traceback__
    while place is not None:
        called = place.tb_frame.f_locals.get("self")
        if isinstance(called, keras.optimizers.Optimizer):
            return str(called.name)
        place = place.tb_next
    return "unknown"


def _is_from_keras(error: ValueError) -> bool:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    module = place.tb_frame.f_globals.get("__name__", "") if place else ""
    return str(module).startswith("keras.")
