"""PyTorch's errors that a step meets, by their words.

None of them asks for a value: such steps run eagerly.
"""

from typing import Final

from ownloop.backends.complaints import behind

_NOT_RECORDED: Final = "does not require grad and does not have a grad_fn"


def explain(error: Exception) -> str:
    """Says what to do about an error; nothing where it is none of these."""
    if any(_NOT_RECORDED in str(one) for one in behind(error)):
        return (
            "Autograd records nothing in a step but what runs in a tape: compute the "
            "loss in `with ol.GradientTape() as tape:`, and take "
            "`tape.gradient(loss, model.trainable_variables)` in place of "
            "`loss.backward()`."
        )
    return ""
