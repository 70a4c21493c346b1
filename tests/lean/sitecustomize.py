"""Python reads this first in the children of tests, which then start in less time.

Keras imports Matplotlib, scikit-learn and JAX wherever they are installed, in case they
are used. That is half of the time in which a child starts, and there are some two
hundred. They are not there while Keras is imported, and are there after it.
"""

import gc
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_SPARED = {"matplotlib", "sklearn", "jax"} - {os.environ.get("KERAS_BACKEND")}


class _Spared:
    """Finds what is spared, and loads none of it."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        spec = getattr(sys.modules.get("keras"), "__spec__", None)
        if name in _SPARED and getattr(spec, "_initializing", False):
            return ModuleSpec(name, self)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        raise ModuleNotFoundError(f"Keras does without {spec.name}", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Never comes to this."""


sys.meta_path.insert(0, _Spared())
# A start makes little garbage, and looked for it a hundred times.
gc.set_threshold(100_000, 20, 50)
