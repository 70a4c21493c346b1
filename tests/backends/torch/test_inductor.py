"""The compiler that PyTorch needs, and the room's description of it."""

from ownloop.backends.torch import inductor


def test_the_compiler_is_the_one_that_cxx_names(monkeypatch):
    monkeypatch.setenv("CXX", "sh")
    assert inductor.compiler().endswith("/sh")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert inductor.compiler() is None


def test_the_room_says_what_it_runs_on(room):
    description = room.describe()
    assert description.backend == "torch"
    assert "cpu" in description.devices
    assert description.threads > 0
    assert description.settings["C++ compiler"] == inductor.compiler_version()
