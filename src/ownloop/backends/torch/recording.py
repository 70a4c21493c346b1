"""Which part of autograd's graph a tape has recorded.

Autograd records whatever needs a gradient, for as long as it is switched on, and knows
no tapes. Each operation has a number, though, that counts up; so a tape keeps the spans
of numbers in which it recorded, and what it watched since when. `connect` walks the
graph back from a target and finds the sources that it reaches through recorded
operations alone, and the operations where a gradient would leave them.

PyTorch's own names for these numbers have an underscore (`_get_sequence_nr`,
`Node._sequence_nr`). They are used in this file only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from ownloop.backends.contract import Tensor

Node = Any
"""An operation in autograd's graph; a leaf's is an `AccumulateGrad`."""

Place = int | tuple[Node, int]
"""A value in the graph: the identity of a leaf, or an operation and an output of it."""


_WITHOUT_SLOPE = frozenset(
    {"RoundBackward0", "RoundBackward1", "FloorBackward0", "CeilBackward0"}
)
"""Operations whose results are constants to a tape, as they are on TensorFlow."""


@final
@dataclass
class Recording:
    """What a tape has recorded and watched, as numbers and places in the graph.

    accessed: whether leaves that need a gradient anyway, such as trainable variables,
    are watched without being named.
    """

    accessed: bool
    spans: list[range] = field(default_factory=list)
    watched: dict[Place, tuple[int, Tensor]] = field(default_factory=dict)
    since: int | None = None

    def start(self) -> None:
        """Begins a span."""
        if self.since is None:
            self.since = torch.autograd._get_sequence_nr()

    def stop(self) -> None:
        """Ends the span, if one has begun."""
        if self.since is not None:
            self.spans.append(range(self.since, torch.autograd._get_sequence_nr()))
            self.since = None

    def watch(self, tensor: Tensor) -> None:
        """Takes a tensor that needs a gradient as a source, from now on."""
        now = torch.autograd._get_sequence_nr()
        self.watched.setdefault(place_of(tensor), (now, tensor))

    def covers(self, number: int) -> bool:
        """Whether the operation of this number ran while recording."""
        if self.since is not None and number >= self.since:
            return True
        return any(number in span for span in self.spans)

    def watches(self, place: Place, number: int) -> bool:
        """Whether a place was watched when the operation of this number ran."""
        if place in self.watched:
            return self.watched[place][0] <= number
        return isinstance(place, int) and self.accessed and place not in switched


@final
class Switched:
    """The leaves whose need for a gradient tapes have switched on, and how many.

    A tensor that one tape watches must not look like a trainable variable to another
    one, and must be as it was when no tape needs it any more.
    """

    def __init__(self) -> None:
        self._counts: dict[int, tuple[Tensor, int]] = {}

    def __contains__(self, place: int) -> bool:
        return place in self._counts

    def on(self, tensor: Tensor) -> bool:
        """Makes a leaf need a gradient; returns whether `off` must be called for it."""
        if tensor.requires_grad and id(tensor) not in self:
            return False
        _, count = self._counts.get(id(tensor), (tensor, 0))
        self._counts[id(tensor)] = (tensor, count + 1)
        tensor.requires_grad_()
        return True

    def off(self, tensors: Iterable[Tensor]) -> None:
        """Takes back as many calls of `on`."""
        for tensor in tensors:
            _, count = self._counts.pop(id(tensor))
            if count > 1:
                self._counts[id(tensor)] = (tensor, count - 1)
            else:
                tensor.requires_grad_(False)


switched = Switched()


def place_of(tensor: Tensor) -> Place:
    """Returns where a tensor is in the graph."""
    if tensor.grad_fn is None:
        return id(tensor)
    edge: GradientEdge = get_gradient_edge(tensor)
    return (edge.node, edge.output_nr)


@final
@dataclass(frozen=True)
class Connection:
    """What a target reaches: places and operations, and where it must be stopped."""

    reached: frozenset[Place]
    operations: tuple[Node, ...]
    edges: tuple[Node, ...]


def connect(recording: Recording, targets: Sequence[Tensor]) -> Connection:
    """Walks back from the targets through the operations that were recorded."""
    graph = _Graph(recording)
    reached: set[Place] = set()
    edges: dict[Node, None] = {}
    waiting: list[Place] = []
    for target in targets:
        place = place_of(target)
        reached.add(place)
        waiting.append(place)
    seen: dict[Node, None] = {}
    while waiting:
        place = waiting.pop()
        if isinstance(place, int) or place[0] in seen:
            continue
        node = place[0]
        if not graph.recorded(node):
            edges[node] = None
            continue
        seen[node] = None
        for below in graph.inputs(node):
            if graph.watched(below, None):
                reached.add(below)
            waiting.append(below)
    return Connection(frozenset(reached), tuple(seen), tuple(edges))


def holds_lost_values(operation: Node) -> bool:
    """Whether an operation's own gradient function holds values of its forward pass.

    That is so for `keras.ops.custom_gradient`, where what the forward pass computes is
    a constant to PyTorch.
    """
    function = getattr(operation, "grad_fn", None)
    cells = getattr(function, "__closure__", None) or ()
    return any(
        isinstance(cell.cell_contents, torch.Tensor)
        and not cell.cell_contents.requires_grad
        for cell in cells
    )


@final
class _Graph:
    """Autograd's graph, seen by one tape."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._recorded: dict[Node, bool] = {}

    def inputs(self, node: Node) -> Iterator[Place]:
        """Returns the places that an operation took its inputs from."""
        for below, output in node.next_functions:
            if below is None:
                continue
            # Only the operation that stands for a leaf has this attribute.
            leaf = getattr(below, "variable", None)
            yield (below, output) if leaf is None else id(leaf)

    def watched(self, place: Place, number: int | None) -> bool:
        """Whether a value was watched when an operation used it, or ever."""
        if not isinstance(place, int) and self._recorded.get(place[0], False):
            return True
        if number is None:
            return place in self._recording.watched or self._recording.watches(place, 0)
        return self._recording.watches(place, number)

    def recorded(self, node: Node) -> bool:
        """Whether an operation ran while recording, on something that was watched."""
        # Not recursive: graphs are deeper than Python's stack.
        stack = [node]
        while stack:
            top = stack[-1]
            if top in self._recorded:
                stack.pop()
                continue
            number = top._sequence_nr()
            if top.name() in _WITHOUT_SLOPE or not self._recording.covers(number):
                self._recorded[top] = False
                continue
            inputs = list(self.inputs(top))
            unknown = [
                place[0]
                for place in inputs
                if not isinstance(place, int) and place[0] not in self._recorded
            ]
            if unknown:
                stack.extend(unknown)
                continue
            self._recorded[top] = any(self.watched(p, number) for p in inputs)
        return self._recorded[node]
