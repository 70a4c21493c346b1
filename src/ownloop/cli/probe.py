"""Asks one framework about itself: `python -m ownloop.cli.probe jax`.

The doctor starts one such process per backend, because a process holds one Keras
backend and because a broken installation may hang or crash. Frameworks are imported by
name, so that no arrow leads from this room to any of them.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any, TypedDict

from ownloop.machine import usable_processors


class Answer(TypedDict):
    """What a framework says about itself."""

    version: str
    devices: list[str]
    threads: int


def ask(name: str) -> Answer:
    """Imports the framework `name` and returns its version, devices and threads."""
    framework: Any = import_module(name)
    if name == "jax":
        # JAX tells nobody how many threads it has; on a CPU it takes all it may use.
        devices = [f"{device.platform}:{device.id}" for device in framework.devices()]
        threads = usable_processors()
    elif name == "tensorflow":
        found = framework.config.list_physical_devices()
        devices = [device.name.removeprefix("/physical_device:") for device in found]
        # 0 means that TensorFlow decides, and it decides for all.
        threads = framework.config.threading.get_intra_op_parallelism_threads()
        threads = threads or usable_processors()
    else:
        devices = ["cpu"]
        devices += [f"cuda:{index}" for index in range(framework.cuda.device_count())]
        devices += ["mps"] if framework.backends.mps.is_available() else []
        threads = framework.get_num_threads()
    return Answer(version=framework.__version__, devices=devices, threads=threads)


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1])))
