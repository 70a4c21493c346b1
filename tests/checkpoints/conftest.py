"""What tests of checkpoints share."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path) -> Path:
    """Give the folder of a store, which does not exist yet."""
    return tmp_path / "run" / "checkpoints"
