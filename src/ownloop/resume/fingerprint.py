"""What a run depends on beside its state: versions, device, threads, settings, code.

Equal fingerprints promise equal bits; a difference is named by its field.
"""

import hashlib
import os
import platform
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import CodeType
from typing import Any

import keras
import numpy as np

from ownloop import backends, machine
from ownloop.data import Batches
from ownloop.resume.paths import plain_path
from ownloop.step import Surroundings, as_json, functions_of

_SETTINGS = (
    "XLA_FLAGS",
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "MKL_CBWR",
    "KERAS_TORCH_DEVICE",
    "NVIDIA_TF32_OVERRIDE",
    "TF_DETERMINISTIC_OPS",
)
_SAMPLED_ROWS = 256
_HASHED = {
    "code": "the code of the step, or of a function that it calls, is another",
    "values": "values are others",
}


def of_process(*, compiled: bool) -> dict[str, Any]:
    """Returns what this process runs on: names to JSON values.

    Example:
        >>> of_process(compiled=True)["keras"] == keras.__version__
        True
    """
    here = backends.current().describe()
    return {
        "ownloop": version("ownloop"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keras": keras.__version__,
        "backend": here.backend,
        here.backend: here.version,
        "devices": list(here.devices),
        "threads": here.threads,
        "processors": machine.usable_processors(),
        "machine": platform.machine(),
        # Compilers choose instructions by its model, which round otherwise.
        "processor": machine.processor(),
        "floatx": keras.config.floatx(),
        "dtype policy": keras.config.dtype_policy().name,
        "epsilon": keras.config.epsilon(),
        "image data format": keras.config.image_data_format(),
        **here.settings,
        "compile": compiled,
        **{name: os.environ.get(name) for name in _SETTINGS},
    }


def of_pass(step: Callable[..., Any], data: Any) -> dict[str, Any]:
    """Returns what one pass depends on: the step's code, and its data.

    With the code of the functions that the step calls by name. Data in memory are known
    by their shapes and up to 256 of their rows; of a stream only its type.
    """
    return {"code": _code(step), "data": of_data(data)}


def of_data(data: Any) -> Any:
    """Returns what data in memory are known by; of a stream only its type.

    Example:
        >>> of_data([1, 2])
        'list'
    """
    if not isinstance(data, Batches):
        return type(data).__name__
    digest = hashlib.sha256()
    rows = np.unique(np.linspace(0, data.examples - 1, _SAMPLED_ROWS).astype(np.int64))
    for leaf in data.leaves:
        digest.update(np.ascontiguousarray(leaf[rows]).tobytes())
    return {
        "batch size": data.batch_size,
        "seed": data.seed if data.shuffle else None,
        "remainder dropped": data.drop_remainder,
        "arrays": [f"{leaf.dtype.name}{list(leaf.shape)}" for leaf in data.leaves],
        "values": digest.hexdigest()[:16],
    }


def of_program(seen: Surroundings) -> str:
    """Returns a hash of what a step reads: equal ones make programs of one kind.

    With the variables within reach, since another model makes another program.
    """
    parts = (
        [(plain_path(n), type(v).__name__, as_json(v)) for n, v in seen.numbers],
        [(plain_path(name), flag) for name, flag in seen.flags],
        [_parts(code) for _, code in seen.functions],
        [(plain_path(v.path), tuple(v.shape)) for v in seen.variables()],
    )
    return _hash(parts)


def of_frozen(seen: Surroundings) -> dict[str, Any]:
    """Returns what is frozen into a step's program besides its own code, as JSON.

    By name the numbers that it reads from outside, and hashes of functions that Keras
    objects hold and of the user's methods, such as a layer's `call`.

    Example:
        >>> rate = 0.5
        >>> of_frozen(Surroundings.of(lambda x: rate * x))
        {'rate': 0.5}
    """
    found: dict[str, list[Any]] = {}
    for name, value in seen.numbers:
        found.setdefault(plain_path(name), []).append(as_json(value))
    for name, code in (*seen.held, *seen.methods):
        found.setdefault(f"{plain_path(name)}()", []).append(_hash(_parts(code)))
    return {n: values[0] if len(values) == 1 else values for n, values in found.items()}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Says in words where two fingerprints differ.

    Of what is known by a hash only that it is another.

    Example:
        >>> differences({"threads": 2, "keras": "3"}, {"threads": 1, "keras": "3"})
        ['threads was 2 and is 1']
        >>> differences({"data": {"batch size": 8}}, {"data": {"batch size": 16}})
        ['data batch size was 8 and is 16']
    """
    found = []
    for name in dict.fromkeys([*before, *now]):
        earlier, later = before.get(name), now.get(name)
        if isinstance(earlier, Mapping) and isinstance(later, Mapping):
            # Objects have names of their own, such as `dense.units`.
            inner = f"{name} " if name != "objects" else ""
            found += [f"{inner}{words}" for words in differences(earlier, later)]
        elif earlier != later:
            found.append(_in_words(name, earlier, later))
    return found


def _in_words(name: str, earlier: Any, later: Any) -> str:
    if name.endswith("()"):
        return f"{name} is another"
    if _is_hash(earlier) or _is_hash(later):
        return _HASHED.get(name, f"{name} is another")
    return f"{name} was {earlier!r} and is {later!r}"


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None


def _code(step: Callable[..., Any]) -> str:
    functions = [_parts(code) for _, code in functions_of(step)]
    if not functions:
        return type(step).__name__
    return _hash(functions)


def _hash(parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _parts(code: CodeType) -> tuple[Any, ...]:
    """Returns what a function does, without where it was written."""
    constants = [_constant(value) for value in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_varnames


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _parts(value)
    # The order of a set of strings is another one in each process.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value
