"""The generators of random numbers that a stream may draw from, its own among them."""

from collections.abc import Mapping
from typing import Any, Protocol, final

import numpy as np

_OWN = "own "
_PATHS = ("generator", "sampler.generator", "batch_sampler.sampler.generator")


class Generators(Protocol):
    """Random generators, each with a name."""

    def read(self) -> Mapping[str, Any]:
        """Returns the states of the generators by name."""

    def write(self, states: Mapping[str, Any]) -> None:
        """Puts the states of the named generators back."""

    def drawn(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
        """Returns the names of the generators whose states have changed."""

    def pack(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """Returns states as JSON, except that arrays in it stay arrays."""

    def unpack(self, packed: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the states that `pack` was called with."""


class OwnGenerators(Generators, Protocol):
    """Random generators, some of which are a stream's own."""

    def read_own(self) -> Mapping[str, Any]:
        """Returns the states of the stream's own."""

    def glance(self) -> tuple[bytes, ...]:
        """Returns, quickly, what changes when one of the stream's own is drawn from."""


@final
class StreamGenerators:
    """The process's random generators, and those that a PyTorch loader was made with.

    `DataLoader(shuffle=True, generator=generator)` is how its orders are made to come
    again. A sampler that was handed in may have one, too.

    Args:
        common: The generators of the process.
        stream: The loader, or whatever else yields the batches.

    Attributes:
        own: The stream's own generators, by their names among all.
    """

    def __init__(self, common: Generators, stream: Any) -> None:
        self._common = common
        self.own = {f"{_OWN}{i}": g for i, g in enumerate(_generators_of(stream))}

    def read(self) -> dict[str, Any]:
        """Returns the states of the generators by name."""
        return {**self._common.read(), **self.read_own()}

    def read_own(self) -> dict[str, Any]:
        """Returns the states of the stream's own."""
        return {name: (_read_state(g),) for name, g in self.own.items()}

    def glance(self) -> tuple[bytes, ...]:
        """Returns, quickly, what changes when one of the stream's own is drawn from."""
        return tuple(g.get_state().numpy().tobytes() for g in self.own.values())

    def write(self, states: Mapping[str, Any]) -> None:
        """Puts the states of the named generators back."""
        self._common.write({n: s for n, s in states.items() if not is_own(n)})
        for name, generator in self.own.items():
            if name in states:
                _write_state(generator, states[name][0])

    def drawn(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
        """Returns the names of the generators whose states have changed."""
        return self._common.drawn(before, now)

    def pack(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """Returns states as JSON, except that arrays in it stay arrays."""
        return self._common.pack(states)

    def unpack(self, packed: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the states that `pack` was called with."""
        return self._common.unpack(packed)


def is_own(name: str) -> bool:
    """Says whether a generator is a stream's own, by its name.

    Example:
        >>> is_own("own 0"), is_own("python")
        (True, False)
    """
    return name.startswith(_OWN)


def _write_state(generator: Any, words: np.ndarray) -> None:
    state = generator.get_state()
    # The tensor shares its memory with the array.
    np.asarray(state)[...] = words
    generator.set_state(state)


def _read_state(generator: Any) -> np.ndarray:
    return np.array(generator.get_state())


def _generators_of(stream: Any) -> list[Any]:
    found: list[Any] = []
    for path in _PATHS:
        thing = stream
        for word in path.split("."):
            thing = getattr(thing, word, None)
        if _is_generator(thing) and not any(thing is other for other in found):
            found.append(thing)
    return found


def _is_generator(thing: Any) -> bool:
    if not (hasattr(thing, "get_state") and hasattr(thing, "set_state")):
        return False
    state = thing.get_state()
    return hasattr(state, "numpy") and state.numpy().dtype == np.uint8
