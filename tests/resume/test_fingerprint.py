"""What decides the bits of a run is in its fingerprint, each thing under its name."""

import json
import platform

import keras
import numpy as np
import pytest

from ownloop.resume import fingerprint

ALWAYS = {
    "ownloop",
    "python",
    "numpy",
    "keras",
    "backend",
    "devices",
    "threads",
    "processors",
    "machine",
    "processor",
    "floatx",
    "dtype policy",
    "epsilon",
    "image data format",
    "compile",
    "XLA_FLAGS",
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_DETERMINISTIC_OPS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "MKL_CBWR",
    "KERAS_TORCH_DEVICE",
}
OF_BACKEND = {
    "jax": {
        "jax",
        "jaxlib",
        "jax_enable_x64",
        "jax_default_matmul_precision",
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
    },
    "tensorflow": {"tensorflow", "inter-op threads", "tf32", "jit"},
    "torch": {"torch", "precision of products", "deterministic", "C++ compiler"},
}


def now():
    return fingerprint.of_process(compiled=True)


def test_all_that_decides_bits_is_in_it_and_is_json(backend):
    found = now()
    assert found.keys() == ALWAYS | OF_BACKEND[backend]
    assert json.loads(json.dumps(found)) == found
    assert found["devices"]
    assert found["processor"]


CHANGES = {
    "numpy": (np, "__version__", "0.1"),
    "keras": (keras, "__version__", "0.1"),
    "python": (platform, "python_version", lambda: "2.7"),
    "machine": (platform, "machine", lambda: "abacus"),
    "epsilon": (keras.config, "epsilon", lambda: 0.5),
    "image data format": (keras.config, "image_data_format", lambda: "sideways"),
    "floatx": (keras.config, "floatx", lambda: "float16"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named(monkeypatch, name):
    before = now()
    monkeypatch.setattr(*CHANGES[name])
    (words,) = fingerprint.differences(before, now())
    assert words.startswith(f"{name} was {before[name]!r} and is ")


def test_what_a_script_sets_in_its_framework_is_named(backend):
    before = now()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("float32"):
            after = now()
        name = "jax_default_matmul_precision"
    elif backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)
        after = now()
        tf.config.experimental.enable_tensor_float_32_execution(True)
        name = "tf32"
    else:
        import torch

        torch.set_float32_matmul_precision("medium")
        after = now()
        torch.set_float32_matmul_precision("highest")
        name = "precision of products"
    (words,) = fingerprint.differences(before, after)
    assert words.startswith(f"{name} was ")
    assert now() == before


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (
            {"code": "6e556e3c5530d058"},
            {"code": "5ceceaa5d870cda1"},
            "the code of the step, or of a function that it calls, is another",
        ),
        (
            {"code": "Criterion"},
            {"code": "Other"},
            "code was 'Criterion' and is 'Other'",
        ),
        (
            {"data": {"values": "6e556e3c5530d058"}},
            {"data": {"values": "5ceceaa5d870cda1"}},
            "data values are others",
        ),
        (
            {"Scale.call()": ["6e", "0a"]},
            {"Scale.call()": "0b"},
            "Scale.call() is another",
        ),
        (
            {"objects": {"dense.units": 4}},
            {"objects": {"dense.units": 5}},
            "dense.units was 4 and is 5",
        ),
    ],
)
def test_a_difference_reads_as_a_sentence_and_shows_no_hash(before, now, words):
    assert fingerprint.differences(before, now) == [words]
