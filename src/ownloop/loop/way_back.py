"""What the code sees on its way back to where its run was: the run as it was there.

Owns `loop.memory` and `loop.history` until the code has come back. Where it is, and
how far the run was there, is known by `resume/calls.py`.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import final

from ownloop.history import History
from ownloop.loop.capture import put_texts, refill
from ownloop.loop.run import Run
from ownloop.resume.place import Answer, Done


@final
class WayBack:
    """Shows a run as it was, and in the end as it is.

    Args:
        run: The run that is gone on with.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # All that the run has recorded; None: that is what is seen.
        self._whole: History | None = None
        self._looks: Counter[str] = Counter()

    def begin(self) -> None:
        """Begins with a run that was put back."""
        self._whole = History()
        self._whole.take_over(self._run.history)

    def go_to(self, then: Done | None) -> None:
        """Shows the run as it was when an epoch began, or a round was over."""
        if then is None or self._whole is None:
            return
        if then.memory is not None:
            refill(self._run.memory, json.loads(then.memory))
        if then.looks is not None:
            self._looks = Counter(then.looks)
            self._show(self._whole, then)

    def go_over(self, answers: Sequence[Answer], then: Done) -> None:
        """Shows the run as it was behind a call, of these answers: its, and its body's.

        Args:
            answers: That of the call is the first one.
            then: How far the run was there.
        """
        if self._whole is None:
            return
        for answer in answers:
            name = answer.name.partition(": ")[0]
            self._looks.update(f"{name}_{key}" for key in answer.result)
        put_texts(self._run.memory, answers[0].memory)
        self._show(self._whole, then)

    def show_all(self) -> None:
        """Shows all that the run has recorded, to which more can be added."""
        if self._whole is not None:
            self._run.history.take_over(self._whole)

    def end(self) -> None:
        """Shows all from now on."""
        self.show_all()
        self._whole = None

    def _show(self, whole: History, then: Done) -> None:
        part = whole.until(self._looks, epochs=then.epochs, steps=then.steps)
        self._run.history.take_over(part)
