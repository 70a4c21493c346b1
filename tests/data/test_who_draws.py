"""Whose draw it is taken for, by what was seen before and since."""

import pytest

from ownloop.data.who_draws import ScriptDraws, WhoDraws


@pytest.fixture
def script():
    return ScriptDraws()


@pytest.fixture
def who(script):
    return WhoDraws(script)


def test_what_is_drawn_while_the_reader_waits_the_stream_draws(who):
    who.note_others({"numpy"})
    who.note_batch({"numpy"})
    assert (who.by_stream, who.by_script) == ({"numpy"}, set())
    assert who.unsure({"numpy"}) == set()


def test_what_is_drawn_meanwhile_the_script_draws_if_it_did_so_before(who):
    who.note_others({"framework"})
    who.expect(is_awaited=False, has_rested=True)
    assert who.unsure({"framework", "own 0"}) == {"framework"}
    who.note_batch({"framework"})
    assert (who.by_stream, who.by_script) == (set(), {"framework"})


def test_without_evidence_it_is_the_stream_until_the_script_is_seen_to_draw(who):
    who.expect(is_awaited=False, has_rested=True)
    who.note_batch({"python"})
    assert who.by_stream == {"python"}
    who.note_others({"python"})
    assert who.by_stream == set()


def test_what_a_stream_drew_at_its_opening_it_may_draw_again(who):
    who.note_opening({"numpy"})
    assert who.by_stream == set()
    who.note_others({"numpy"})
    who.expect(is_awaited=False, has_rested=True)
    who.note_batch({"numpy"})
    assert who.by_stream == {"numpy"}


def test_its_own_generators_are_nobody_elses(who):
    who.note_batch({"own 0"})
    who.note_others({"own 0"})
    assert (who.by_stream, who.by_script) == (set(), set())


def test_what_is_known_of_the_script_holds_for_its_next_stream(script, who):
    assert not who.is_watched
    who.expect(is_awaited=True, has_rested=True)
    who.note_batch(set())
    who.note_others({"framework"})
    later = WhoDraws(script)
    assert later.is_watched
    assert later.by_script == {"framework"}
