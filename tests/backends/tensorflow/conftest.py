"""These tests are about the TensorFlow room, and are left out on other backends."""

import os

collect_ignore_glob = (
    [] if os.environ["KERAS_BACKEND"] == "tensorflow" else ["test_*.py"]
)
