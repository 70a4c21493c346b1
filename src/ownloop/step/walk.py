"""The walk from a step to all that it reads: closures, globals, attributes, layers.

It follows names that appear in the code of the step and of the functions it calls; an
attribute or a key that no code names is not read, and not looked at.
"""

import functools
import random
import sys
import types
from collections.abc import Collection, Mapping
from typing import Any, final

import keras
import numpy as np

from ownloop.step.drawing import GENERATORS
from ownloop.step.functions import is_foreign, keywords_of, reads

_NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
_SMALL = 64
"""An array with more entries is data, no setting; of a container, so many are read."""
_KERAS = (
    keras.Layer,
    keras.optimizers.Optimizer,
    keras.Loss,
    keras.Metric,
)
_PLAIN = (bool, int, float)
_FIXED = (*_NUMBERS, types.MemberDescriptorType)
"""What an object may have from its class: a number, or a slot for one."""
_NESTED = (keras.Regularizer, keras.constraints.Constraint)
_OURS = {"Epoch": ("number",), "Loop": ("epoch", "memory", "step")}
"""By class, what a step may read of our own objects, such as `epoch.number`."""
_FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
_CHANGES_BY_ITSELF = frozenset(
    {
        "built",
        # Which Keras wraps, for each layer.
        "build",
        "quantize",
        "training",  # Of PyTorch's modules; Keras hands it on as an argument.
        # What `model.compile`, `predict` and `evaluate` set, and no step reads.
        "compiled",
        "steps_per_execution",
        "stop_evaluating",
        "stop_predicting",
        "stop_training",
        "predict_function",
        "test_function",
        "train_function",
    }
)


@final
class Walk:
    """Collects, in a fixed order, what can be reached from a step."""

    def __init__(self) -> None:
        self.numbers: list[tuple[str, Any]] = []
        self.flags: list[tuple[str, bool]] = []
        self.metrics: list[keras.Metric] = []
        self.owners: list[Any] = []
        self.things: list[Any] = []
        self.generators: list[Any] = []
        self.tensors: list[tuple[str, Any]] = []
        # Names of objects whose class is a library's, which has counters of its own.
        self.others: set[str] = set()
        # Keras objects: in the step's word for what they belong to, Keras' name, class.
        self.objects: list[tuple[str, str, str]] = []
        self.held: list[tuple[str, types.FunctionType]] = []
        self.methods: list[types.FunctionType] = []
        # What is called has no name for that.
        self._words: set[Any] = {"__call__"}
        self._holders: list[tuple[str, Any, str]] = []
        # The word for the Keras object whose inside is walked; empty outside of any.
        self._root = ""
        self._taken: set[tuple[int, Any]] = set()
        self._seen: dict[int, Any] = {}
        self._looks_into_functions = True

    def start(self, step: Any) -> None:
        """Walks from the step, until nothing new is within reach."""
        self._callable("", step)
        self._follow()

    def look_at(self, objects: Mapping[str, Any]) -> None:
        """Walks from the Keras objects among these, and into no function."""
        self._looks_into_functions = False
        for name, thing in objects.items():
            if isinstance(thing, _KERAS):
                self._value(name, thing)
        self._follow()

    def _follow(self) -> None:
        known = -1
        # A function found late may name attributes of a holder found early.
        while known != (known := len(self._words) + len(self._holders)):
            for name, holder, root in list(self._holders):
                self._root = root
                self._entries(name, holder)
            self._root = ""

    def _callable(self, name: str, function: Any) -> None:
        """Walks into a function, a method, a partial or an object that is called."""
        if self._again(function):
            return
        if isinstance(function, types.MethodType):
            self._value(_join(name, "self"), function.__self__)
            self._callable(name, function.__func__)
        elif isinstance(function, functools.partial):
            self._value(_join(name, "args"), function.args)
            for key, value in function.keywords.items():
                self._value(_join(name, key), value)
            self._callable(name, function.func)
        elif isinstance(function, types.FunctionType):
            if name:
                self.held.append((name, function))
            words = _words(function.__code__)
            self._words.update(words)
            for inner, value in reads(function):
                self._value(_join(name, inner), value)
                self._ours(_join(name, inner), value, words)
        elif not is_foreign(type(function)):
            self._hold_on(name, function)
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self._callable(name, wrapped)

    def _value(self, name: str, value: Any) -> None:
        """Notes a value, or walks into it where it may hold settings."""
        if isinstance(value, _NUMBERS):
            self.numbers.append((name, value))
        elif isinstance(value, types.FunctionType):
            if not is_foreign(value):
                self._callable(name, value)
            elif self._looks_into_functions:
                self.numbers.append((name, _name_of(value)))
        elif isinstance(value, types.MethodType | functools.partial):
            self._callable(name, value)
        elif _is_others_class(value) or self._again(value):
            return
        elif isinstance(value, GENERATORS) or value is random:
            self.generators.append(value)
        elif isinstance(value, types.ModuleType):
            if _is_own_module(value):
                self._hold_on(name, value)
        elif isinstance(value, keras.Variable):
            self.owners.append(value)
            self.flags.append((f"{value.path}.trainable", bool(value.trainable)))
            self.objects.append((self._root or name, value.path, "Variable"))
        elif isinstance(value, keras.random.SeedGenerator):
            self.owners.append(value.state)
        elif isinstance(value, _KERAS):
            outer, self._root = self._root, self._root or name
            self._keras(name, value)
            self._root = outer
        elif isinstance(value, np.ndarray):
            if value.size <= _SMALL:
                self.numbers.append((name, str(value.tolist())))
        elif isinstance(value, tuple | list | set | frozenset):
            entries = value if isinstance(value, tuple | list) else _in_order(value)
            for i, entry in enumerate(entries[:_SMALL]):
                self._value(f"{name}[{i}]", entry)
        elif keras.ops.is_tensor(value):
            self.tensors.append((name, value))
        elif isinstance(value, type | Mapping) or not is_foreign(type(value)):
            self._hold_on(name, value)

    def _ours(self, name: str, value: Any, words: Collection[Any]) -> None:
        """Notes what a function reads of our own objects."""
        kind = type(value)
        if kind.__module__.partition(".")[0] == "ownloop":
            for word in _OURS.get(kind.__name__, ()):
                if word in words:
                    self._value(_join(name, word), getattr(value, word))

    def _keras(self, name: str, thing: Any) -> None:
        """Notes what a Keras object has: flags, variables, metrics, public numbers."""
        name = getattr(thing, "name", None) or name
        self.things.append(thing)
        self.objects.append((self._root, name, type(thing).__name__))
        if isinstance(thing, keras.Metric):
            self.metrics.append(thing)
        if isinstance(thing, keras.Layer):
            self.flags.append((f"{name}.trainable", bool(thing.trainable)))
            self.numbers.append((f"{name}.dtype_policy", thing.dtype_policy.name))
            layers = getattr(thing, "layers", ())
            layers = layers if isinstance(layers, list | tuple) else ()
            for inner in (*layers, *thing.metrics):
                self._value(name, inner)
        if isinstance(thing, keras.optimizers.Optimizer):
            schedule = schedule_of(thing)
            if schedule is not None:
                self._schedule(_join(name, "learning_rate"), schedule)
        if not isinstance(thing, keras.Loss):
            self.owners.append(thing)
        is_of_keras, is_loss = is_foreign(type(thing)), isinstance(thing, keras.Loss)
        if not is_of_keras:
            # A layer that the user wrote: its methods may read anything.
            self._hold_on(name, thing)
            self._words.add("call")
        for attribute, value in _attributes(thing):
            if isinstance(value, _FUNCTIONS):
                if is_of_keras:
                    self._hold(name, thing, attribute, value)
            elif is_loss and isinstance(value, str | dict):
                self._loss(_join(name, attribute), value)
            elif attribute[0] != "_" and attribute not in _CHANGES_BY_ITSELF:
                self._attribute(_join(name, attribute), thing, attribute, value)

    def _attribute(self, name: str, thing: Any, attribute: str, value: Any) -> None:
        """Notes a public attribute of a Keras object."""
        if isinstance(value, _PLAIN):
            if self._first(thing, attribute):
                self.numbers.append((name, value))
        elif isinstance(value, str | tuple):
            # Words that a model has are those of `compile`, which no step reads.
            is_read = attribute != "name" and not isinstance(thing, keras.Model)
            if is_read and _is_plain(value) and self._first(thing, attribute):
                self.numbers.append((name, value))
        elif isinstance(value, _KERAS):
            self._value(name, value)
        elif isinstance(value, _NESTED):
            for inner, number in _attributes(value):
                if isinstance(number, _PLAIN):
                    self.numbers.append((f"{name}.{inner}", number))

    def _schedule(self, name: str, schedule: Any) -> None:
        """Notes a schedule, whose numbers are frozen into a program.

        It may be exchanged for another; a plain rate is a variable.
        """
        if is_foreign(type(schedule)):
            self.numbers.append((name, repr(schedule.get_config())))
        else:
            # Of the user's own, which need not tell how it is configured.
            self.numbers.append((name, type(schedule).__qualname__))
            self._hold_on(name, schedule)

    def _loss(self, name: str, value: Any) -> None:
        """Notes what a loss was made with: its reduction, the words of its function."""
        if isinstance(value, dict):
            for key, entry in value.items():
                if isinstance(entry, _NUMBERS):
                    self.numbers.append((f"{name}[{key!r}]", entry))
        elif not name.endswith(".name"):
            self.numbers.append((name, value))

    def _hold(self, name: str, thing: Any, attribute: str, value: Any) -> None:
        """Notes a function that an object was given, such as an activation."""
        is_other = attribute in _CHANGES_BY_ITSELF or attribute.endswith("_initializer")
        is_first = self._looks_into_functions and not is_other
        if not is_first or not self._first(thing, (attribute, "held")):
            return
        name, called = _join(name, attribute), _called_by(value)
        if isinstance(called, types.FunctionType) and not is_foreign(called):
            self._value(name, value)
        elif not attribute.startswith("_"):
            self.numbers.append((name, _name_of(called)))
            if isinstance(value, functools.partial):
                self._value(_join(name, "args"), value.args)
                self._value(_join(name, "keywords"), list(value.keywords.items()))

    def _entries(self, name: str, holder: Any) -> None:
        """Walks into those entries of a mapping or an object that some code names."""
        if isinstance(holder, Mapping):
            for key in list(holder)[:_SMALL]:
                named = not isinstance(key, str) or key in self._words
                if named and self._first(holder, key):
                    self._value(f"{name}[{key!r}]", holder[key])
            return
        if _is_of_library(holder):
            self.others.add(name)
        for attribute, value in _attributes(holder):
            if isinstance(holder, _KERAS) and attribute in _CHANGES_BY_ITSELF:
                continue
            if attribute in self._words and self._first(holder, attribute):
                self._value(_join(name, attribute), value)
                if isinstance(value, _FUNCTIONS):
                    self._hold(name, holder, attribute, value)
        for word in sorted(w for w in self._words if isinstance(w, str)):
            method = getattr(type(holder), word, None)
            method = method.fget if isinstance(method, property) else method
            is_fixed = method is not None and isinstance(method, _FIXED)
            if is_fixed and self._first(holder, word):
                # Of the class, or in a slot.
                self._value(_join(name, word), getattr(holder, word, None))
            if isinstance(method, types.FunctionType) and not is_foreign(method):
                if method not in self.methods:
                    self.methods.append(method)
                self._callable(name, method)

    def _hold_on(self, name: str, holder: Any) -> None:
        """Notes what has entries, to walk into those that some code names."""
        self._holders.append((name, holder, self._root))

    def _first(self, holder: Any, key: Any) -> bool:
        mark = (id(holder), key)
        known = mark in self._taken
        self._taken.add(mark)
        return not known

    def _again(self, value: Any) -> bool:
        known = id(value) in self._seen
        self._seen[id(value)] = value
        return known


def _words(code: types.CodeType) -> set[Any]:
    """Returns the names and the string constants in a function's code."""
    words = set(code.co_names)
    keywords = keywords_of(code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            words |= _words(constant)
        elif isinstance(constant, tuple | frozenset) and constant not in keywords:
            # Such as the keys of a dict that is written out.
            words.update(entry for entry in constant if isinstance(entry, str))
        elif isinstance(constant, str):
            words.add(constant)
    return words


def schedule_of(optimizer: keras.optimizers.Optimizer) -> Any:
    """Returns an optimizer's learning rate schedule; None for a plain rate.

    Example:
        >>> schedule_of(keras.optimizers.SGD(0.1)) is None
        True
    """
    kind = keras.optimizers.schedules.LearningRateSchedule
    held = (value for _, value in _attributes(optimizer) if isinstance(value, kind))
    return next(held, None)


def _called_by(function: Any) -> Any:
    """Returns what a partial or a method calls."""
    while True:
        if isinstance(function, types.MethodType):
            function = function.__func__
        elif isinstance(function, functools.partial):
            function = function.func
        else:
            return function


def _name_of(function: Any) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', '')}"


def _attributes(holder: Any) -> list[tuple[str, Any]]:
    return list(getattr(holder, "__dict__", {}).items())


def _is_plain(value: str | tuple[Any, ...]) -> bool:
    """Whether this is text, or a pair of numbers and the like, such as strides."""
    return isinstance(value, str) or all(isinstance(entry, _PLAIN) for entry in value)


def _in_order(entries: Collection[Any]) -> list[Any]:
    """Returns a set's entries in an order that is the same in every process."""
    # Of a set of objects each process has an order of its own, by their addresses.
    return sorted(entries, key=lambda e: repr(e) if isinstance(e, _NUMBERS) else "")


def _is_others_class(value: Any) -> bool:
    """Whether this is a class that is no part of the user's program."""
    if not isinstance(value, type):
        return False
    module = sys.modules.get(value.__module__)
    is_main = value.__module__ == "__main__"  # Which has no file in a notebook.
    return not is_main and (module is None or not _is_own_module(module))


def _is_of_library(holder: Any) -> bool:
    """Whether this is, or has, a class of an installed package."""
    kind = holder if isinstance(holder, type) else type(holder)
    module = sys.modules.get(kind.__module__)
    return "-packages" in (getattr(module, "__file__", None) or "")


def _is_own_module(module: types.ModuleType) -> bool:
    """Whether a module is part of the user's program, and no installed package."""
    root = module.__name__.partition(".")[0]
    installed = "-packages" in (getattr(module, "__file__", None) or "-packages")
    return not (installed or root in sys.stdlib_module_names or is_foreign(module))


def _join(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if outer else inner
