"""The generators of random numbers that a stream may draw from, its own among them."""

from collections.abc import Mapping
from typing import Any, Protocol, final

import numpy as np

_OWN = "own "
_PATHS = ("generator", "sampler.generator", "batch_sampler.sampler.generator")


class Generators(Protocol):
    """Generators of random numbers, each with a name."""

    def read(self) -> Mapping[str, Any]:
        """Give their states by name."""

    def write(self, states: Mapping[str, Any]) -> None:
        """Put back the states of those that are named."""

    def drawn(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
        """Name those whose states are not what they were."""


@final
class StreamGenerators:
    """Those of the process, and those that a loader of PyTorch's was made with.

    ``DataLoader(shuffle=True, generator=generator)`` is how its orders are made to come
    again. A sampler that was handed in may have one, too.

    Args:
        common: those of the process.
        stream: the loader, or whatever it is.
    """

    def __init__(self, common: Generators, stream: Any) -> None:
        self._common = common
        self._own = {f"{_OWN}{i}": g for i, g in enumerate(_generators_of(stream))}

    def read(self) -> dict[str, Any]:
        """Give their states by name."""
        return {**self._common.read(), **self.read_own()}

    def read_own(self) -> dict[str, Any]:
        """Give the states of the stream's own."""
        return {n: {"words": np.array(g.get_state())} for n, g in self._own.items()}

    def write(self, states: Mapping[str, Any]) -> None:
        """Put back the states of those that are named."""
        self._common.write({n: s for n, s in states.items() if not n.startswith(_OWN)})
        for name, generator in self._own.items():
            if name in states:
                state = generator.get_state()
                # The tensor shares its memory with the array.
                np.asarray(state)[...] = states[name]["words"]
                generator.set_state(state)

    def drawn(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
        """Name those whose states are not what they were."""
        return self._common.drawn(before, now)


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
