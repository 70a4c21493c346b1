"""`GradientTape`: what happens in a block is recorded and can be differentiated."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, Self, final

import keras

from ownloop import backends
from ownloop.backends import reads
from ownloop.backends.contract import AbstractTape, Tensor
from ownloop.tape import arguments
from ownloop.tape.arguments import Unconnected


@final
class GradientTape:
    """Records the block that it opens, so that gradients can be taken afterwards.

    The same words and the same outcomes as TensorFlow's class of this name, on all
    three backends, eagerly and inside a compiled step. Trainable variables that are
    read in the block are watched; other tensors are watched on request. What runs
    outside of the block, or depends on nothing that is watched, is a constant.

    Args:
        persistent: Whether gradients may be taken more than once.
        watch_accessed_variables: Whether trainable variables are watched as they are
            read. If not, only what is handed to `watch` is.

    Raises:
        TapeError: The tape is used in an order that has no meaning, or the backend
            cannot differentiate what was recorded.

    Example:
        >>> import keras
        >>> import ownloop as ol
        >>> w = keras.Variable(3.0)
        >>> with ol.GradientTape() as tape:
        ...     loss = w * w
        ...
        >>> float(tape.gradient(loss, w))
        6.0

        Tapes nest, for gradients of gradients:

        >>> with ol.GradientTape() as outer:
        ...     with ol.GradientTape() as inner:
        ...         loss = w * w * w
        ...     slope = inner.gradient(loss, w)
        ...
        >>> float(outer.gradient(slope, w))
        18.0

    Reference: https://www.tensorflow.org/api_docs/python/tf/GradientTape
    """

    def __init__(
        self, persistent: bool = False, watch_accessed_variables: bool = True
    ) -> None:
        self._persistent = persistent
        self._watch_accessed = watch_accessed_variables
        # None before the block, and after a tape that gives gradients once gave them.
        self._tape: AbstractTape | None = None
        self._opened: AbstractTape | None = None
        self._recording = False
        self._variables: dict[int, keras.Variable] = {}

    def __enter__(self) -> Self:
        if self._recording:
            raise arguments.opened_twice()
        self._start()
        return self

    def __exit__(self, *details: object) -> None:
        if self._recording:
            self._stop()
        if self._opened is not None:
            # Stopped inside the block already, it may still have had to stay.
            self._opened.stop()
            self._opened = None

    def watch(self, tensor: Any) -> None:
        """Watches a tensor, a variable, or a structure of them.

        Args:
            tensor: Floating-point tensors of any shape. Call this inside the block,
                before the tensor is used.

        Raises:
            TapeError: The tape is not recording. (TensorFlow's would say nothing, and
                watch nothing.)
            TapeValueError: Something in the structure is neither tensor nor variable.

        Example:
            >>> import keras
            >>> import ownloop as ol
            >>> x = keras.ops.convert_to_tensor([1.0, 2.0])
            >>> with ol.GradientTape() as tape:
            ...     tape.watch(x)
            ...     y = x * x
            ...
            >>> [float(slope) for slope in tape.gradient(y, x)]
            [2.0, 4.0]
        """
        if self._tape is None or not self._recording:
            raise arguments.watched_in_vain()
        for value in keras.tree.flatten(tensor):
            arguments.check_watched(value)
            if not arguments.is_differentiable(value):
                warnings.warn(arguments.not_differentiable(value), stacklevel=2)
                continue
            if isinstance(value, keras.Variable):
                self._variables[id(value)] = value
            self._tape.watch([value])

    def watched_variables(self) -> tuple[keras.Variable, ...]:
        """Returns the variables that are watched, in the order of their first use.

        TensorFlow's tape orders them by their construction, which Keras does not keep.

        Example:
            >>> import keras
            >>> import ownloop as ol
            >>> w = keras.Variable(3.0, name="w")
            >>> frozen = keras.Variable(2.0, trainable=False)
            >>> with ol.GradientTape() as tape:
            ...     loss = w * frozen
            ...
            >>> [variable.name for variable in tape.watched_variables()]
            ['w']
        """
        return tuple(self._variables.values())

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Pauses the tape for a block: what runs there is a constant to it.

        Raises:
            TapeError: The tape is not recording.

        Example:
            >>> import keras
            >>> import ownloop as ol
            >>> w = keras.Variable(3.0)
            >>> with ol.GradientTape() as tape:
            ...     with tape.stop_recording():
            ...         scale = w * 2.0
            ...     loss = w * scale
            ...
            >>> float(tape.gradient(loss, w))
            6.0
        """
        if not self._recording:
            raise arguments.not_recording("stop_recording", ever=self._tape is not None)
        self._stop()
        try:
            yield
        finally:
            self._start()

    def reset(self) -> None:
        """Forgets all that was recorded and watched, and goes on with an empty tape.

        Raises:
            TapeValueError: The tape is not recording.

        Example:
            >>> import keras
            >>> import ownloop as ol
            >>> w = keras.Variable(3.0)
            >>> with ol.GradientTape() as tape:
            ...     loss = w * w
            ...     tape.reset()
            ...     loss = loss + 5.0 * w
            ...
            >>> float(tape.gradient(loss, w))
            5.0
        """
        if not self._recording:
            raise arguments.not_recording("reset", ever=True)
        self._stop()
        self._tape = None
        self._start()

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Unconnected = "none",
    ) -> Any:
        """Returns the gradient of the target for each source.

        Args:
            target: A tensor of any shape, or a structure of them; several are summed,
                and so are the elements of each.
            sources: A variable or a watched tensor, or a structure of them.
            output_gradients: Weights for the target's elements, in the target's
                structure and shapes; ones where not given, or None.
            unconnected_gradients: What stands for a source that the target does not
                depend on: None, or zeros of its shape.

        Returns:
            Tensors of the sources' shapes and dtypes, in the sources' structure.

        Raises:
            TapeError: The tape is not persistent and has given its gradients, or the
                backend cannot differentiate what was recorded.
            TapeTypeError: A target or source is neither tensor nor variable.
            TapeValueError: An argument's value or shape does not fit.

        Example:
            >>> import keras
            >>> import ownloop as ol
            >>> a, b = keras.Variable(3.0), keras.Variable(5.0)
            >>> with ol.GradientTape() as tape:
            ...     loss = a * a * b
            ...
            >>> found = tape.gradient(loss, {"a": a, "b": b})
            >>> float(found["a"]), float(found["b"])
            (30.0, 9.0)
        """
        arguments.check_unconnected(unconnected_gradients)
        tape = self._recorded()
        targets = arguments.tensors(target, "target")
        flat = arguments.tensors(sources, "source")
        seeds = arguments.seeds(output_gradients, targets)
        if not self._persistent:
            self._release()
        found = tape.gradient(targets, flat, seeds)
        shapes = [tuple(source.shape) for source in flat]
        return _packed(found, sources, flat, shapes, unconnected_gradients)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: Unconnected = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Returns the gradient of each element of the target for each source.

        Args:
            target: A tensor of any shape.
            sources: A variable or a watched tensor, or a structure of them.
            unconnected_gradients: What stands for a source that the target does not
                depend on: None, or zeros.
            parallel_iterations: Taken for TensorFlow's sake; it changes nothing.
            experimental_use_pfor: Whether all rows are computed at once. If not, one
                after another, which needs less memory and a persistent tape.

        Returns:
            Tensors of shape `target.shape + source.shape`, in the sources' structure.

        Raises:
            TapeError: As `gradient`; or rows one after another on a tape that is not
                persistent.

        Example:
            >>> import keras
            >>> import ownloop as ol
            >>> x = keras.ops.convert_to_tensor([1.0, 2.0])
            >>> with ol.GradientTape() as tape:
            ...     tape.watch(x)
            ...     y = x * x
            ...
            >>> [[float(v) for v in row] for row in tape.jacobian(y, x)]
            [[2.0, 0.0], [0.0, 4.0]]
        """
        del parallel_iterations
        arguments.check_unconnected(unconnected_gradients)
        tape = self._recorded()
        arguments.check_tensor(target, "target")
        flat = arguments.tensors(sources, "source")
        seeds = arguments.seeds_of_elements(target)
        found = self._rows(tape, target, flat, seeds, experimental_use_pfor)
        shapes = [(*target.shape, *source.shape) for source in flat]
        found = [
            None if gradient is None else keras.ops.reshape(gradient, shape)
            for gradient, shape in zip(found, shapes, strict=True)
        ]
        return _packed(found, sources, flat, shapes, unconnected_gradients)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: Unconnected = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Returns the Jacobian of each example of a batch by itself.

        Right where no example's target depends on another example's source; then it is
        the part of `jacobian` that is not zero, and far cheaper.

        Args:
            target: A tensor of shape (batch, ...), of two or more axes.
            source: A variable or watched tensor of shape (batch, ...), likewise.
            unconnected_gradients: Taken for TensorFlow's sake: where the target does
                not depend on the source the result is zeros, as there.
            parallel_iterations: Taken for TensorFlow's sake; it changes nothing.
            experimental_use_pfor: As for `jacobian`.

        Returns:
            A tensor of shape (batch, *target.shape[1:], *source.shape[1:]).

        Raises:
            TapeError: As `jacobian`.
            TapeValueError: Target or source have fewer than two axes, or different
                numbers of examples.

        Example:
            >>> import keras
            >>> import ownloop as ol
            >>> x = keras.ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
            >>> with ol.GradientTape() as tape:
            ...     tape.watch(x)
            ...     y = x * x
            ...
            >>> [[float(v) for v in row] for row in tape.batch_jacobian(y, x)[1]]
            [[6.0, 0.0], [0.0, 8.0]]
        """
        del parallel_iterations
        arguments.check_unconnected(unconnected_gradients)
        tape = self._recorded()
        arguments.check_tensor(target, "target")
        arguments.check_tensor(source, "source")
        arguments.check_batches(target, source)
        seeds = arguments.seeds_of_examples(target)
        (found,) = self._rows(tape, target, [source], seeds, experimental_use_pfor)
        batch, *inner = target.shape
        shape = (batch, *inner, *source.shape[1:])
        if found is None:
            return keras.ops.zeros(shape, target.dtype)
        return keras.ops.reshape(keras.ops.moveaxis(found, 0, 1), shape)

    def _rows(
        self,
        tape: AbstractTape,
        target: Tensor,
        sources: list[Tensor],
        seeds: Tensor,
        vectorized: bool,
    ) -> list[Tensor | None]:
        if not vectorized and not self._persistent:
            raise arguments.not_persistent_for_rows()
        if not self._persistent:
            self._release()
        if not arguments.is_differentiable(target):
            return [None] * len(sources)
        return tape.rows(target, sources, seeds, vectorized=vectorized)

    def _recorded(self) -> AbstractTape:
        if self._tape is None:
            raise arguments.nothing_recorded(persistent=self._persistent)
        return self._tape

    def _release(self) -> None:
        """Lets go of what was recorded, as a tape does that gives gradients once."""
        if self._recording:
            self._stop()
        self._tape = None

    def _start(self) -> None:
        if self._tape is None:
            self._variables = {}
            self._tape = backends.current().tape(
                persistent=self._persistent,
                watch_accessed_variables=self._watch_accessed,
            )
        self._opened = self._tape
        self._tape.start()
        reads.listen(self._read)
        self._recording = True

    def _stop(self) -> None:
        assert self._tape is not None  # it records
        self._recording = False
        reads.unlisten(self._read)
        self._tape.stop()

    def _read(self, variable: keras.Variable, value: Tensor) -> Tensor:
        assert self._tape is not None  # it records
        if self._watch_accessed and variable.trainable:
            self._variables.setdefault(id(variable), variable)
        return self._tape.read(variable, value)


def _packed(
    found: list[Tensor | None],
    sources: Any,
    flat: list[Tensor],
    shapes: list[tuple[int, ...]],
    unconnected: Unconnected,
) -> Any:
    """Returns what was found in the structure of the sources, zeros where asked for."""
    if unconnected == "zero":
        found = [
            keras.ops.zeros(shape, source.dtype) if gradient is None else gradient
            for gradient, source, shape in zip(found, flat, shapes, strict=True)
        ]
    return keras.tree.pack_sequence_as(sources, found)
