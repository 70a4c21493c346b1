"""Names and numbers that a step logged, by key or by attribute."""

from collections.abc import Iterator, Mapping
from typing import Any, final

from ownloop.errors import HistoryError


@final
class Values(Mapping[str, Any]):
    """A frozen mapping whose entries are attributes too, where the name allows.

    Scalars are Python floats; arrays are NumPy arrays.

    Example:
        >>> values = Values({"loss": 0.5, "g/loss": 1.5})
        >>> values.loss, values["g/loss"]
        (0.5, 1.5)
        >>> f"{values:.3f}"
        'Values(loss=0.500, g/loss=1.500)'
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_entries", dict(entries))

    def __getitem__(self, name: str) -> Any:
        try:
            return self._entries[name]
        except KeyError:
            raise HistoryError(self._unknown(name)) from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._entries[name]
        except KeyError:
            raise AttributeError(self._unknown(name)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"`{name}` cannot be set: logged values are a record of what happened. "
            "Expected reading only. Keep numbers of your own in `loop.memory`."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Values, (self._entries,)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(n for n in self._entries if n.isidentifier())]

    def __repr__(self) -> str:
        return f"{self:.6g}"

    def __format__(self, format_spec: str) -> str:
        """Shows the values, each number in a format such as `.3f`."""
        spec = format_spec or ".6g"
        shown = (f"{name}={_short(v, spec)}" for name, v in self._entries.items())
        return f"Values({', '.join(shown)})"

    def _unknown(self, name: str) -> str:
        return (
            f"{name!r} was not logged. What the step returned has the names "
            f"{', '.join(map(repr, self._entries)) or 'none'}. Use one of these, or "
            "return this name from the step."
        )


def _short(value: Any, format_spec: str) -> str:
    if isinstance(value, float):
        return format(value, format_spec)
    shape = getattr(value, "shape", ())
    return f"array of {' x '.join(map(str, shape))}" if shape else "array"
