"""`GradientTape`: what happens in a block is recorded and can be differentiated."""

from typing import Any, Literal, Self, final

import keras

from ownloop import backends
from ownloop.backends.contract import AbstractTape
from ownloop.errors import TapeError


@final
class GradientTape:
    """Records the block that it opens, so that gradients can be taken afterwards.

    The same words as TensorFlow's class of this name, on all three backends, eagerly
    and inside a compiled step. Trainable variables that are read in the block are
    watched; other tensors are watched on request.

    Args:
        persistent: Whether `gradient` may be called more than once.
        watch_accessed_variables: Whether trainable variables are watched as they are
            read. If not, only what is handed to `watch` is.

    Example:
        >>> import keras
        >>> import ownloop as ol
        >>> w = keras.Variable(3.0)
        >>> with ol.GradientTape() as tape:
        ...     loss = w * w
        ...
        >>> float(tape.gradient(loss, w))
        6.0

    Reference: https://www.tensorflow.org/api_docs/python/tf/GradientTape
    """

    def __init__(
        self, persistent: bool = False, watch_accessed_variables: bool = True
    ) -> None:
        self._persistent = persistent
        self._tape: AbstractTape = backends.current().tape(
            persistent=persistent, watch_accessed_variables=watch_accessed_variables
        )
        self._recording = False
        self._used = False

    def __enter__(self) -> Self:
        if self._recording:
            raise TapeError(
                "This tape is recording already. A tape can be opened again only "
                "after its block has ended. Open a second tape for an inner block."
            )
        self._tape.start()
        self._recording = True
        return self

    def __exit__(self, *details: object) -> None:
        self._stop()

    def watch(self, tensor: Any) -> None:
        """Watches a tensor, a variable, or a structure of them.

        Args:
            tensor: Floating-point tensors of any shape. Call this inside the block,
                before the tensor is used.
        """
        self._tape.watch(keras.tree.flatten(tensor))

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Literal["none", "zero"] = "none",
    ) -> Any:
        """Returns the gradient of the target for each source.

        Args:
            target: A tensor of any shape, or a structure of them; several are summed,
                and so are the elements of each.
            sources: A variable or a watched tensor, or a structure of them.
            output_gradients: Weights for the target's elements, in the target's
                structure and shapes; ones where not given.
            unconnected_gradients: What stands for a source that the target does not
                depend on: None, or zeros of its shape.

        Returns:
            Tensors of the sources' shapes and dtypes, in the sources' structure.

        Raises:
            TapeError: The tape is not persistent and was used before.
        """
        if self._used and not self._persistent:
            raise TapeError(
                "`gradient` was called a second time on this tape. A tape gives "
                "gradients once, because it lets go of what it recorded. Ask for all "
                "sources in one call, or open `GradientTape(persistent=True)`."
            )
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f"`unconnected_gradients` is {unconnected_gradients!r}. It must be "
                "'none' or 'zero'. Pass one of these."
            )
        if not self._persistent:
            self._stop()
        self._used = True
        targets = keras.tree.flatten(target)
        flat = keras.tree.flatten(sources)
        seeds = _seeds(output_gradients, len(targets))
        found = self._tape.gradient(targets, flat, seeds)
        if unconnected_gradients == "zero":
            found = [
                keras.ops.zeros(s.shape, s.dtype) if g is None else g
                for s, g in zip(flat, found, strict=True)
            ]
        return keras.tree.pack_sequence_as(sources, found)

    def _stop(self) -> None:
        if self._recording:
            self._recording = False
            self._tape.stop()


def _seeds(output_gradients: Any, count: int) -> list[Any]:
    if output_gradients is None:
        return [None] * count
    if not isinstance(output_gradients, list | tuple | dict):
        return [output_gradients]
    # `None` marks a weight that is left out, and must survive the flattening.
    return list(
        output_gradients.values()
        if isinstance(output_gradients, dict)
        else output_gradients
    )
