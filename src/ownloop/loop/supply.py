"""The data of a run: opened for each pass, placed on the device once, gone on with.

Passes of a number of steps share one feed for the same data, and this knows how many
batches each has taken. Another process has other objects: there it is the habit of
each place in the user's code that tells whether data are gone on with or begun.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any, final

import keras

from ownloop import backends
from ownloop.backends.contract import Placed
from ownloop.data import (
    AbstractFeed,
    Batches,
    Bookmark,
    FromEpoch,
    Marks,
    NoDataFeed,
    ResidentFeed,
    StreamFeed,
    is_mapped,
)
from ownloop.data.feed import check_steps
from ownloop.errors import LoopError
from ownloop.loop.shared_feed import SharedFeed
from ownloop.loop.streams import Streams
from ownloop.resume import fingerprint
from ownloop.resume.habit import Habit, name_of


@final
class Supply:
    """Opens feeds, and remembers those that are gone on with.

    Data have a key: the pass's name, and which data of that name they are. A place is
    the pass in whose body it stands, if in any, the pass's own name, and which data of
    that name they are there in an epoch. So a body that is not gone through again, on
    the way back, shifts no place after it. Where data come to a place for the first
    time, arrays are known by their values.

    Args:
        say: Tells a person something in one sentence.

    Attributes:
        streams: How those of the data that are no arrays come to where they were.
    """

    def __init__(self, say: Callable[[str], None] = lambda text: None) -> None:
        self.streams = Streams(say)
        self._say = say
        # What they were when they were placed, as far as a sample tells.
        self._values: weakref.WeakKeyDictionary[Batches, str] = (
            weakref.WeakKeyDictionary()
        )
        self._placed: weakref.WeakKeyDictionary[Batches, Placed] = (
            weakref.WeakKeyDictionary()
        )
        self._shared: dict[str, SharedFeed] = {}
        self._earlier: dict[str, int] = {}
        self._bookmarks: dict[str, Bookmark] = {}
        self._fingerprints: dict[str, Any] = {}
        self._habits: dict[str, Habit] = {}
        self._met: dict[str, list[str]] = {}
        self._guessed: set[str] = set()
        self._epoch = 0
        # By id, data that were let go and are still somebody's.
        self._let_go: weakref.WeakValueDictionary[int, Any] = (
            weakref.WeakValueDictionary()
        )

    def feed(
        self,
        data: Any,
        *,
        name: str,
        steps: int | None,
        epoch: int,
        done: int = 0,
        body: str = "",
        bookmark: Mapping[str, Any] | None = None,
    ) -> AbstractFeed:
        """Opens data for a pass, or goes on where a pass of `steps` left them.

        Args:
            data: As in `Epoch.train`.
            name: The pass's name, by which another process knows data gone on with.
            steps: How many batches make the pass; None for those to the data's end.
            epoch: The epoch whose order is meant.
            done: Batches that an earlier process has done of this pass.
            body: In the body of which pass of this epoch it is made, if in any.
            bookmark: Where it left a stream that this pass goes through.
        """
        if data is None:
            if steps is None:
                raise LoopError(
                    "A pass without data has no end: `steps` is None. A step that "
                    "takes no batch needs a number of steps. Pass, for example, "
                    "`steps=1000`."
                )
            return NoDataFeed(steps=steps, done=done)
        where = f"{body}>{name}" if body else name
        if steps is None:
            place = None if bookmark is None else Bookmark.from_json(bookmark)
            marks = self.streams.marks(data, where, place, epoch=epoch)
            return _open(data, epoch=max(epoch, 1), skip=done, marks=marks)
        steps = check_steps(steps)
        if epoch != self._epoch:
            self._epoch, self._met = epoch, {}
        return self._share(data, name, steps, where)

    def _share(self, data: Any, name: str, steps: int, where: str) -> AbstractFeed:
        known = [key for key, s in self._shared.items() if s.data is data]
        met = self._met.setdefault(where, [])
        if known and known[0] in met:
            return self._shared[known[0]]
        place = f"{where}#{len(met)}"
        habit = self._habits.get(place, Habit())
        expected = None if known else self._expected(data, name, place, habit)
        key = known[0] if known else expected or self._next_key(name)
        if known:
            self._check_guess(key, name, habit)
        elif expected is None and self._is_unseen():
            self._guessed.add(key)
        self._habits[place] = habit.then(
            key,
            self._epoch,
            is_new=not known and expected is None,
            place=place,
            is_expected=expected is not None,
        )
        met.append(key)
        if not known:
            self._shared[key] = self._open_shared(data, key, steps, where)
            self._fingerprints[key] = fingerprint.of_data(data)
        self._let_go_of_old(self._habits[place])
        return self._shared[key]

    def _expected(self, data: Any, name: str, place: str, habit: Habit) -> str | None:
        """Returns which data of an earlier process these are; None: they are new."""
        if habit.latest in self._earlier:
            return habit.expected(self._epoch, place)
        return None if habit.latest else self._recognized(data, name)

    def _recognized(self, data: Any, name: str) -> str | None:
        """Returns which data these are that no save has seen in this place."""
        wanted = fingerprint.of_data(data)
        anew = {name_of(p) for p, h in self._habits.items() if h.brings_new}
        alike = [
            key
            for key in self._earlier
            if self._fingerprints.get(key) == wanted and name_of(key) not in anew
        ]
        if not alike:
            return None
        others = " and ".join(repr(name_of(key)) for key in alike)
        if not isinstance(data, Batches):
            self._say(
                f"The pass {name!r} begins its data, a {type(data).__name__}, at their "
                f"first batch, as new ones: whether they are those of {others}, and "
                "were to be gone on with, cannot be seen"
            )
            return None
        if len(alike) > 1:
            raise LoopError(
                f"The pass {name!r} got data in epoch {self._epoch} that no save has "
                f"seen there, and that are equal to those of {others}: which of them "
                "are gone on with cannot be known. Expected one name for all passes "
                "over the same data. Write `epoch.train(..., name=...)` with it, and "
                "start the run anew, in another folder."
            )
        self._say(
            f"The pass {name!r} goes on with the data of {others}, behind "
            f"{self._earlier[alike[0]]} batches: no save has seen it, and the data are "
            "equal"
        )
        self._habits = {
            place: habit.assumed() if habit.latest == alike[0] else habit
            for place, habit in self._habits.items()
        }
        return alike[0]

    def _is_unseen(self) -> bool:
        """Whether an earlier process used data in this epoch that did not come here."""
        habits = self._habits.values()
        return any(h.epoch == self._epoch and h.latest in self._earlier for h in habits)

    def _check_guess(self, key: str, name: str, habit: Habit) -> None:
        # Of the two, either may be what was taken for new.
        is_guess = not self._guessed.isdisjoint((key, habit.latest))
        if is_guess and key != habit.latest and habit.latest in self._earlier:
            raise LoopError(
                f"The pass {name!r} with `steps=` got data in epoch {self._epoch} that "
                f"were taken for new ones in epoch {habit.epoch}, when the run was "
                "continued: an earlier process had used them in the body of a pass, "
                "which is not gone through again, and after one epoch that cannot be "
                "told. Expected data that are first used outside of such a body, or "
                "in it alone. Make other data for one of the two, and start the run "
                "anew, in another folder."
            )

    def _next_key(self, name: str) -> str:
        taken = self._shared.keys() | self._earlier.keys()
        number = 0
        while (key := f"{name}#{number}") in taken:
            number += 1
        return key

    def _open_shared(self, data: Any, key: str, steps: int, where: str) -> SharedFeed:
        if self._let_go.get(id(data)) is data:
            raise LoopError(
                f"A pass of `steps` got a {type(data).__name__} again which had not "
                "been used for several epochs, while each of them brought other data; "
                "it was let go. Expected the same data in each epoch, or new ones. "
                "Give such passes a `name` each."
            )
        taken = self._earlier.pop(key, 0)
        rounds, skip = 0, taken
        length = count_batches(data)
        if length:
            rounds, skip = divmod(taken, length)
        place = self._bookmarks.pop(key, None)
        marks = self.streams.marks(data, where, place, epoch=self._epoch)
        feed = _open(data, epoch=1 + rounds, skip=skip, steps=steps, marks=marks)
        return SharedFeed(data, feed, taken=taken)

    def _let_go_of_old(self, habit: Habit) -> None:
        """Ends the thread of data that a script has made for one epoch only."""
        for key in habit.worn:
            shared = self._shared.get(key)
            if shared is not None and _remember(self._let_go, shared.data):
                shared.close()
                del self._shared[key], self._fingerprints[key]

    def positions(self) -> dict[str, Any]:
        """Returns how far data were read that are gone on with, and what is usual."""
        here = {key: shared.place() for key, shared in self._shared.items()}
        places = self._bookmarks | {k: p for k, p in here.items() if p is not None}
        return {
            "taken": self._earlier | {key: s.taken for key, s in self._shared.items()},
            "bookmarks": {key: place.to_json() for key, place in places.items()},
            **self.streams.positions(),
            "habits": {place: habit.to_json() for place, habit in self._habits.items()},
            "fingerprints": dict(self._fingerprints),
            "guessed": sorted(self._guessed),
        }

    def go_to(self, positions: Mapping[str, Any]) -> None:
        """Lets data that are gone on with begin where another process left them."""
        self._shared.clear()
        self._epoch, self._met = 0, {}
        self._guessed = set(positions["guessed"])
        self._earlier = dict(positions["taken"])
        self._bookmarks = {
            key: Bookmark.from_json(place)
            for key, place in positions["bookmarks"].items()
        }
        self.streams.go_to(positions)
        self._fingerprints = dict(positions["fingerprints"])
        self._habits = {
            place: Habit.from_json(habit)
            for place, habit in positions["habits"].items()
        }

    def place(self, feed: AbstractFeed) -> Placed | None:
        """Returns whole arrays on the device, where a feed hands out row numbers."""
        if isinstance(feed, SharedFeed):
            feed = feed.inner
        if not isinstance(feed, ResidentFeed):
            return None
        batches = feed.batches
        values = fingerprint.of_data(batches)["values"]
        if batches not in self._placed:
            self._placed[batches] = backends.current().place(feed.resident)
            self._values[batches] = values
        elif self._values[batches] != values:
            self._values[batches] = values
            self._say(
                f"the arrays of {batches!r} were changed in place. This loop has read "
                "them, and goes on with what they were; make new ol.Batches of them"
            )
        return self._placed[batches]


def count_batches(data: Any) -> int | None:
    """Returns how many batches data have, where they say so.

    Example:
        >>> count_batches([1, 2]), count_batches(iter([1, 2]))
        (2, None)
    """
    try:
        count = len(data)
    except TypeError:
        return None
    return int(count) if count >= 0 else None


def _remember(known: weakref.WeakValueDictionary[int, Any], data: Any) -> bool:
    """Notes data by their id while they live; says whether that is possible."""
    try:
        known[id(data)] = data
    except TypeError:
        return False
    return True


def _open(
    data: Any,
    *,
    epoch: int,
    skip: int,
    steps: int | None = None,
    marks: Marks | None = None,
) -> AbstractFeed:
    """Opens arrays by their row numbers, anything else as a stream."""
    float_type = keras.config.floatx()
    if isinstance(data, Batches):
        if not is_mapped(data):
            return ResidentFeed(
                data, float_type=float_type, epoch=epoch, start=skip, steps=steps
            )
        # What was used is not read again, except for its last batch: if the epoch ends
        # behind that, its data are not empty.
        start, skip = max(skip - 1, 0), min(skip, 1)
        data = FromEpoch(data, epoch=epoch, start=start)
    if marks is not None and marks.behind:
        skip = 0  # The marks leave out what was used.
    return StreamFeed(data, float_type=float_type, steps=steps, skip=skip, marks=marks)
