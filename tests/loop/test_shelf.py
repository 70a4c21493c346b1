"""Whose programs are found again, and how long they are kept."""

import gc
import weakref

import pytest

from ownloop.errors import LoopError
from ownloop.loop.shelf import finder_of, shelf_of, step_name


class Trainer:
    def step(self, x):
        return x

    def other(self, x):
        return x


def test_a_method_has_one_shelf_for_each_object_that_it_belongs_to():
    first, second = Trainer(), Trainer()
    assert shelf_of(first.step) is shelf_of(first.step)
    assert shelf_of(first.step) is not shelf_of(second.step)
    assert shelf_of(first.step) is not shelf_of(first.other)


def test_a_shelf_goes_when_its_step_goes():
    trainer = Trainer()

    def step(x):
        return x

    shelves = [weakref.ref(shelf_of(step)), weakref.ref(shelf_of(trainer.step))]
    find = [finder_of(step), finder_of(trainer.step)]
    assert [found() for found in find] == [step, trainer.step]
    del step, trainer
    gc.collect()
    assert [shelf() for shelf in shelves] == [None, None]
    assert [found() for found in find] == [None, None]


class Unhashable(Trainer):
    def __eq__(self, other):
        return True


class Slotted:
    __slots__ = ()

    def __call__(self, x):
        return x


@pytest.mark.parametrize("step", [Unhashable().step, Slotted()], ids=step_name)
def test_a_step_that_cannot_be_remembered_is_refused(step):
    with pytest.raises(
        LoopError, match=r"belongs to a .*A step is a plain function.*Write the step"
    ):
        shelf_of(step)
