"""``ownloop doctor``: it must answer on every machine, above all on a broken one."""

import subprocess
import sys

import pytest

import ownloop
from ownloop import machine
from ownloop.cli import doctor, main, preflight


def test_it_prints_versions_devices_and_threads(capsys):
    installed = preflight.installed_backends()
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert f"ownloop      {ownloop.__version__}" in printed
    assert "Keras" in printed
    assert "C++ compiler" in printed
    lines = {line.split()[0]: line for line in printed.splitlines() if line}
    threads = f"{machine.usable_processors()} threads"
    for name in installed:
        assert "devices" in lines[name]
        assert threads in lines[name] or name == "torch"


def test_a_missing_backend_is_told_with_its_remedy(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "installed_backends", list)
    monkeypatch.setattr(preflight, "installed_backends", list)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert 'torch        not installed: pip install "ownloop[torch]"' in printed
    assert "No backend is installed" in printed


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise ImportError('libfoo.so is missing')", "libfoo.so is missing"),
        ("import os; os._exit(3)", "ended with code 3"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
    ],
)
def test_a_broken_backend_is_told_with_its_reason(
    program, message, capsys, monkeypatch
):
    run = subprocess.run

    def broken(words, **options):
        return run([sys.executable, "-c", program], **options)

    monkeypatch.setattr(doctor.subprocess, "run", broken)
    monkeypatch.setattr(doctor, "_SECONDS_PER_PROBE", 1)
    monkeypatch.setattr(doctor, "installed_backends", lambda: ["jax"])
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "jax          installed, but does not work" in printed
    assert message in printed


def test_no_compiler_is_told_with_what_follows(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "installed_backends", list)
    monkeypatch.setenv("CXX", "no-such-compiler")
    main(["doctor"])
    assert "no no-such-compiler found: torch steps run" in capsys.readouterr().out


def test_a_compiler_that_pytorch_does_not_find_is_not_told(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "installed_backends", list)
    monkeypatch.setenv("CXX", "")
    main(["doctor"])
    assert "CXX is empty: torch steps run eagerly" in capsys.readouterr().out
