"""The records that observers receive."""

import dataclasses
import typing

import pytest

from ownloop import events


def test_there_are_at_most_seven_kinds():
    assert len(typing.get_args(events.Event)) <= 7


@pytest.mark.parametrize("kind", typing.get_args(events.Event))
def test_a_record_cannot_be_changed(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen


def test_a_notice_says_its_text():
    assert events.Notice("compiling").text == "compiling"
