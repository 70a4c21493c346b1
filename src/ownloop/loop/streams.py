"""The streams of a run: what is known of each, so that it comes to where it was.

A stream is an object that gives batches when it is iterated, and is known by the name
of the pass that it came to first. What its orders depend on is read and put back here:
the generators of random numbers, its own among them, and how often it was opened.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any, final

import keras

from ownloop.data import Batches, Bookmark, Marks, Openings, StreamGenerators
from ownloop.errors import LoopError
from ownloop.resume import randomness


@final
class Streams:
    """Gives each reading of a stream what it needs to be gone on with.

    Attributes:
        differ: Is told that a stream does not come again; None: no other process goes
            on with the run.
    """

    def __init__(self) -> None:
        self.differ: Callable[[str], None] | None = None
        self._openings: dict[str, Openings] = {}
        # Those that came in this process.
        self._met: dict[str, tuple[Callable[[], Any], StreamGenerators]] = {}
        # The states of their own generators, of those that did not.
        self._own: dict[str, Any] = {}

    def marks(
        self,
        data: Any,
        name: str,
        place: Bookmark | None,
        *,
        is_within: bool,
        is_over: bool = False,
    ) -> Marks | None:
        """Returns what marks how far data are read; None for arrays.

        Args:
            data: As in `Epoch.train`.
            name: The pass's name.
            place: That an earlier process has read to; see `Marks`.
            is_within: Whether a pass was under way there.
            is_over: Whether the stream was at its end there.
        """
        if self.differ is None or isinstance(data, Batches):
            return None
        differ, generators = self.differ, StreamGenerators(randomness, data)
        return Marks(
            generators,
            openings=self._openings_of(data, name, generators, place),
            float_type=keras.config.floatx(),
            differs=lambda words: differ(f"pass {name!r}: {words}"),
            start=place,
            is_within=is_within,
            is_over=is_over,
        )

    def positions(self) -> dict[str, Any]:
        """Returns what another process needs, as JSON but for the arrays in it."""
        own = {
            name: generators.read_own() for name, (_, generators) in self._met.items()
        }
        return {
            "openings": {n: o.to_json() for n, o in self._openings.items()},
            "own": self._own | {name: states for name, states in own.items() if states},
        }

    def go_to(self, positions: Mapping[str, Any]) -> None:
        """Lets streams be what they were when `positions` was called."""
        self._met.clear()
        self._own = dict(positions.get("own", {}))
        self._openings = {
            name: Openings.from_json(openings)
            for name, openings in positions.get("openings", {}).items()
        }

    def _openings_of(
        self,
        data: Any,
        name: str,
        generators: StreamGenerators,
        place: Bookmark | None,
    ) -> Openings:
        for key, (known, _) in self._met.items():
            if known() is data:
                self._openings[key].is_guess = False
                return self._openings[key]
        openings = self._openings.setdefault(name, Openings())
        if name in self._met:
            if openings.is_guess:
                raise LoopError(
                    f"The pass {name!r} got other data, a {type(data).__name__}, than "
                    "before, and the run was continued as if they were always the "
                    "same: so early that cannot be told. Expected data that are made "
                    "once, before the epochs. Make them there, and start the run "
                    "anew, in another folder."
                )
            openings = self._openings[name] = openings.another()
        elif openings.objects == 1 and (own := self._own.pop(name, {})):
            generators.write(own)
            # A place within them is compared when it is come to.
            openings.is_guess = openings.count == 1 and place is None
        self._met[name] = _reference(data), generators
        return openings


def _reference(data: Any) -> Callable[[], Any]:
    """Returns what finds data while they live, or keeps what cannot be found so."""
    try:
        return weakref.ref(data)
    except TypeError:
        return lambda: data
