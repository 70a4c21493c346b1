"""The functions that a step calls by their names, and what a function reads.

Both are found in the code, without running it. What libraries define is not followed:
it changes with their versions only.
"""

import dis
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

_FOREIGN = frozenset(
    {"builtins", "jax", "jaxlib", "keras", "numpy", "ownloop", "tensorflow", "torch"}
)
_READS_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})


def functions_of(
    step: Callable[..., Any],
) -> tuple[tuple[str, types.CodeType], ...]:
    """Returns the step's code, and that of the user's functions that it calls by name.

    A name may get another function while the step stays the same object, as where a
    cell of a notebook is run again.
    """
    found: dict[types.FunctionType, str] = {}

    def follow(name: str, thing: Any) -> None:
        thing = _function(thing)
        if thing is None:
            return
        if thing not in found and not is_foreign(thing):
            found[thing] = name
            for inner, value in reads(thing):
                follow(inner, value)
            follow(name, getattr(thing, "__wrapped__", None))

    follow("the step", step)
    return tuple((name, function.__code__) for function, name in found.items())


def code_of(step: Callable[..., Any]) -> types.CodeType | None:
    """Returns the code that all functions of one definition have; None without one.

    Example:
        >>> first, second = (lambda x: x * i for i in range(2))
        >>> first is second, code_of(first) is code_of(second)
        (False, True)
    """
    function = _function(step) or _function(type(step).__call__)
    return None if function is None else function.__code__


def _function(thing: Any) -> types.FunctionType | None:
    """Returns the plain function of a method or a partial one; None without one."""
    while not isinstance(thing, types.FunctionType):
        if isinstance(thing, types.MethodType):
            thing = thing.__func__
        elif isinstance(thing, functools.partial):
            thing = thing.func
        else:
            return None
    return thing


def reads(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yields what a function reads from outside: closure, globals, defaults."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # Not assigned yet.
            continue
    for name in _globals(code):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for i, value in enumerate(function.__defaults__ or ()):
        yield f"default {i}", value
    yield from (function.__kwdefaults__ or {}).items()


@functools.lru_cache(1024)
def _globals(code: types.CodeType) -> tuple[str, ...]:
    """Returns the names that a function's code reads as globals, and no others.

    A key or an attribute often has the name of a global that the script assigns:
    `return {"loss": ...}` does not read the script's own variable `loss`.
    """
    names = {i.argval for i in dis.get_instructions(code) if i.opname in _READS_GLOBAL}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_globals(constant))
    return tuple(sorted(names))


@functools.lru_cache(1024)
def keywords_of(code: types.CodeType) -> frozenset[Any]:
    """Returns the tuples of a function's code that only name a call's arguments.

    Example:
        >>> keywords_of((lambda f: f(training=True)).__code__)
        frozenset({('training',)})
    """
    found, before = set(), None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "KW_NAMES":  # Up to Python 3.12.
            found.add(code.co_consts[instruction.arg or 0])
        elif instruction.opname == "CALL_KW" and before is not None:
            found.add(before.argval)
        before = instruction
    return frozenset(found)


def is_foreign(thing: Any) -> bool:
    """Whether a module, a class or a function belongs to a library that we know."""
    name = "__name__" if isinstance(thing, types.ModuleType) else "__module__"
    module = getattr(thing, name, None) or "builtins"
    return module.partition(".")[0] in _FOREIGN
