"""The streams of a run: what is known of each, so that it comes to where it was.

A stream is an object that gives batches when it is iterated. It has a key: the place in
the user's code that it came to first, and which stream of that place it is in an epoch.
What its orders depend on is read and put back here: the generators of random numbers,
its own among them, and how often it was opened.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, final

import keras

from ownloop.data import (
    Batches,
    Bookmark,
    Marks,
    Openings,
    ScriptDraws,
    StreamGenerators,
)
from ownloop.errors import LoopError
from ownloop.loop import interrupts
from ownloop.resume import randomness
from ownloop.resume.habit import name_of

_PATIENCE_SECONDS = 1.0


@final
class Streams:
    """Gives each reading of a stream what it needs to be gone on with.

    Args:
        say: Tells a person something in one sentence.

    Attributes:
        differs: Is told that a stream does not come again; None: no other process goes
            on with the run.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.differs: Callable[[str], None] | None = None
        self._say = say
        self._openings: dict[str, Openings] = {}
        # By place in the code, the keys of the streams that came there.
        self._keys: dict[str, str] = {}
        # Those that came in this process.
        self._met: dict[str, tuple[Callable[[], Any], StreamGenerators]] = {}
        # By key, states of their own generators, of those that did not.
        self._own: dict[str, Any] = {}
        self._here: list[Callable[[], Any]] = []
        self._counts: dict[str, int] = {}
        self._epoch = 0
        self._marks: weakref.WeakSet[Marks] = weakref.WeakSet()
        # By pass, what the script draws between its batches.
        self._script: dict[str, ScriptDraws] = {}

    def marks(
        self, data: Any, where: str, place: Bookmark | None, *, epoch: int
    ) -> Marks | None:
        """Returns what marks how far data are read; None for arrays.

        Args:
            data: As in `Epoch.train`.
            where: The pass's name, behind that of the pass in whose body it stands.
            place: That an earlier process has read to.
            epoch: The one under way.
        """
        if isinstance(data, Batches):
            return None
        generators, openings = StreamGenerators(randomness, data), Openings()
        differs = None
        if self.differs is not None:
            openings = self._openings_of(data, where, generators, place, epoch)
            differs = _teller(self.differs, name_of(f"{where}#"))
        marks = Marks(
            generators,
            openings=openings,
            float_type=keras.config.floatx(),
            differs=differs,
            start=place,
            script=self._script.setdefault(where, ScriptDraws()),
        )
        self._marks.add(marks)
        return marks

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lets no stream draw, so that what is saved belongs together.

        A stream that waits for the script itself is not waited for.
        """
        with contextlib.ExitStack() as stack:
            # A signal between a lock and the note of it would lock out its reader.
            with interrupts.held():
                for marks in self._marks:
                    if marks.lock.acquire(timeout=_PATIENCE_SECONDS):
                        stack.callback(marks.lock.release)
            yield

    def positions(self) -> dict[str, Any]:
        """Returns what another process needs, as JSON but for the arrays in it."""
        own = {key: g.pack(g.read_own()) for key, (_, g) in self._met.items() if g.own}
        return {
            "openings": {key: o.to_json() for key, o in self._openings.items()},
            "own": self._own | own,
            "keys": dict(self._keys),
        }

    def go_to(self, positions: Mapping[str, Any]) -> None:
        """Lets streams be what they were when `positions` was called."""
        self._here += [known for known, _ in self._met.values()]
        self._met.clear()
        self._counts.clear()
        self._own = dict(positions["own"])
        self._keys = dict(positions["keys"])
        self._openings = {
            key: Openings.from_json(openings)
            for key, openings in positions["openings"].items()
        }

    def _openings_of(
        self,
        data: Any,
        where: str,
        generators: StreamGenerators,
        place: Bookmark | None,
        epoch: int,
    ) -> Openings:
        if epoch != self._epoch:
            self._epoch, self._counts = epoch, {}
        number = self._counts[where] = self._counts.get(where, -1) + 1
        spot = f"{where}#{number}"
        for key, (known, _) in self._met.items():
            if known() is data:
                self._openings[key].is_guess = False
                self._keys[spot] = key
                return self._openings[key]
        key = self._keys.setdefault(spot, spot)
        openings = self._openings.get(key)
        if openings is None:
            self._tell_of_new(data, where)
            openings = self._openings[key] = Openings()
        elif key in self._met:
            if openings.is_guess:
                raise _other_data(name_of(spot), data)
            openings = self._openings[key] = openings.another()
        elif not openings.is_anew:
            self._put_back_own(key, generators)
            # A place within them is compared when it is come to.
            if generators.own and openings.count == 1 and place is None:
                openings.is_guess = True
                self._say(
                    f"The pass {name_of(spot)!r} goes on with the random numbers of "
                    f"its data, a {type(data).__name__}, as if they were made once, "
                    "before the epochs: after one epoch that cannot be told"
                )
            openings.is_lost = any(known() is data for known in self._here)
        self._met[key] = _reference(data), generators
        return openings

    def _put_back_own(self, key: str, generators: StreamGenerators) -> None:
        states = generators.unpack(self._own.pop(key, {}))
        # One may belong to another stream, too, which has drawn from it since.
        known = {id(g) for _, other in self._met.values() for g in other.own.values()}
        new = {name for name, g in generators.own.items() if id(g) not in known}
        generators.write({name: s for name, s in states.items() if name in new})

    def _tell_of_new(self, data: Any, where: str) -> None:
        """Says that a stream may be one of those that have not come here yet."""
        waiting = [k for k, o in self._openings.items() if k not in self._met]
        if waiting and not isinstance(data, list | tuple):
            names = " and ".join(sorted({repr(name_of(key)) for key in waiting}))
            self._say(
                f"The pass {name_of(f'{where}#')!r} begins its data, a "
                f"{type(data).__name__}, as new ones, which no save has seen there: if "
                f"they are those of {names}, their order may be another one"
            )


def _teller(differs: Callable[[str], None], name: str) -> Callable[[str], None]:
    """Returns what tells of a pass, and does not keep its run alive.

    The thread that reads knows the marks, and ends when its run is forgotten.
    """
    tell = weakref.WeakMethod(differs)

    def say(words: str) -> None:
        if (alive := tell()) is not None:
            alive(f"pass {name!r}: {words}")

    return say


def _other_data(name: str, data: Any) -> LoopError:
    return LoopError(
        f"The pass {name!r} got other data, a {type(data).__name__}, than before, and "
        "the run was continued as if they were always the same: so early that cannot "
        "be told. Expected data that are made once, before the epochs. Make them "
        "there, and start the run anew, in another folder."
    )


def _reference(data: Any) -> Callable[[], Any]:
    """Returns what finds data while they live, or keeps what cannot be found so."""
    try:
        return weakref.ref(data)
    except TypeError:
        return lambda: data
