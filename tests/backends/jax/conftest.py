"""These tests are about the JAX room, and are left out on other backends."""

import os

collect_ignore_glob = [] if os.environ["KERAS_BACKEND"] == "jax" else ["test_*.py"]
