"""What a process remembers of the folders in which it has kept runs."""

import gc
import weakref

import pytest

from ownloop.checkpoints import Writer
from ownloop.loop.kept_here import KeptHere


class Thing:
    """Can be referred to weakly, as most objects can."""


@pytest.fixture
def kept(tmp_path):
    return KeptHere(tmp_path / "run")


def test_a_folder_is_the_same_by_whatever_path_it_is_reached(kept, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    kept.note_checkpoint("step-3")
    assert KeptHere(tmp_path / "link").has_checkpoint("step-3")
    assert not KeptHere(tmp_path / "other").has_checkpoint("step-3")


def test_a_run_that_began_without_a_checkpoint_is_known_too(kept):
    assert not kept.has_checkpoint(None)
    kept.note_checkpoint(None)
    assert kept.has_checkpoint(None)


def test_objects_are_known_and_not_held(kept):
    thing = Thing()
    kept.note_objects([thing, 3])  # A number cannot be known again.
    assert kept.has_object(thing)
    assert not kept.has_object(Thing())
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is None


def test_who_saves_next_waits_for_who_saved_before(kept, monkeypatch):
    waited = []
    monkeypatch.setattr(Writer, "wait", lambda writer: waited.append(writer))
    writers = [Writer(lambda checkpoint: None) for _ in range(2)]
    for writer in writers:
        kept.save_after_others(writer)
    assert waited == writers[:1]
