"""Settings of Keras objects are JSON, and the same in every process."""

import enum
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ownloop.step import settings_of


class Mine(keras.layers.Layer):
    """A layer that reads a setting when it is called."""

    def __init__(self, setting):
        super().__init__()
        self.setting = setting

    def call(self, x):
        return x if self.setting is None else x * 2


class Mode(enum.StrEnum):
    """A word that is more than a string."""

    TRAIN = "train"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (0.5, 0.5),
        (-np.inf, "-inf"),
        (float("nan"), "nan"),
        (np.float32(0.5), "float32 0.5"),
        (np.prod((3,)), "int64 3"),
        (np.bool_(True), "bool True"),
        (1 + 2j, "complex (1+2j)"),
        (b"ab", "bytes b'ab'"),
        (Mode.TRAIN, "Mode <Mode.TRAIN: 'train'>"),
        ("long" * 1000, "4000 characters with the hash "),
    ],
)
def test_a_setting_that_json_lacks_is_told_in_words(setting, told):
    found = settings_of({"layer": Mine(setting)})["mine"]["setting"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == told or found.startswith(told)


SCRIPT = """
import json, keras
from ownloop.step import settings_of
from step.test_settings import Mine

print(json.dumps(settings_of({"layer": Mine({"train", "eval", "more", "less"})})))
"""


def test_a_set_of_words_has_the_same_order_in_every_process():
    path = os.pathsep.join([os.environ["PYTHONPATH"], *sys.path])
    told = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
