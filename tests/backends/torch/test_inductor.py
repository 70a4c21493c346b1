"""The room's description of what compiles for it."""

from ownloop.backends.torch import inductor


def test_the_room_says_what_it_runs_on(room):
    description = room.describe()
    assert description.backend == "torch"
    assert "cpu" in description.devices
    assert description.threads > 0
    assert description.settings["C++ compiler"] == inductor.compiler_version()
