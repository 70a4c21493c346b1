"""Every example in a docstring runs, on this process's backend."""

import doctest
import importlib
import inspect
import os
import re
import textwrap
from pathlib import Path

import pytest

import ownloop
from ownloop import datasets

ROOT = Path(ownloop.__file__).parent
OTHER_ROOMS = {"jax", "tensorflow", "torch"} - {os.environ["KERAS_BACKEND"]}
FENCED = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def modules() -> list[str]:
    """The modules whose examples can run here: not those of another backend's room."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] == "backends" and OTHER_ROOMS & set(parts):
            continue
        if parts[-1] != "__main__":
            found.append(".".join(["ownloop", *parts]).removesuffix(".__init__"))
    return found


@pytest.fixture(scope="module", autouse=True)
def digits_are_here():
    datasets.mnist()  # the first call says that it downloads


@pytest.mark.parametrize("name", modules())
def test_prompts_show_what_python_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write files
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples differ"


@pytest.mark.parametrize("name", modules())
def test_fenced_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = inspect.getsource(importlib.import_module(name))
    for _, example in FENCED.findall(source):
        exec(compile(textwrap.dedent(example), f"<example in {name}>", "exec"), {})
