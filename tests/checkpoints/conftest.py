"""Makes `faults` a package that tests and killed processes import alike."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Give the folder of a store, which does not exist yet."""
    return tmp_path / "run" / "checkpoints"
