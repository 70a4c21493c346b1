"""The root package: few names, and nothing behind them until one is used."""

import subprocess
import sys

import pytest

import ownloop


def test_at_most_fifteen_names_stand_at_the_door():
    names = [name for name in ownloop.__all__ if not name.startswith("_")]
    assert len(names) <= 15
    assert sorted(dir(ownloop)) == sorted(ownloop.__all__)


@pytest.mark.parametrize("name", ownloop.__all__)
def test_every_name_leads_somewhere(name):
    assert getattr(ownloop, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Trainer'"):
        _ = ownloop.Trainer


def test_importing_ownloop_imports_no_framework():
    code = (
        "import sys, ownloop, ownloop.cli; "
        "print([m for m in ('keras', 'jax', 'tensorflow', 'torch', 'matplotlib', "
        "'rich', 'numpy') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
