"""A name that is looked up where it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hippodrome.serialize.namespaces import current_namespace


class Reference:
    """An expression that is evaluated in the engine's namespace when a call arrives there.

    Anywhere inside the arguments of a call, at any depth. Anywhere but on an engine it stays
    what it is. To checkers it is of any type.

    Args:
        name: a name, or any expression.

    Raises:
        TypeError: *name* is no string.

    >>> view["a"] = 7
    >>> view.apply_sync(pow, ipp.Reference("a + 1"), 2)
    [64, 64]
    """

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str) -> Any:  # Any: it may be given in the place of whatever it names
        """Return one, which checkers take for what it stands for."""
        if not isinstance(name, str):
            raise TypeError(f"a Reference is made from a string, not from {name!r}")
        made = super().__new__(cls)
        made.name = name
        return made

    if TYPE_CHECKING:  # for checkers it is a function, as it may be given in the place of one

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def __repr__(self) -> str:
        return f"<Reference: {self.name!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.name == other.name

    def __hash__(self) -> int:
        return hash((Reference, self.name))

    def get_object(self, g: dict[str, Any] | None = None) -> Any:  # Any: whatever it is
        """Return what the expression is in the namespace *g*.

        >>> ipp.Reference("a + 1").get_object({"a": 7})
        8
        """
        return eval(self.name, {} if g is None else g)  # noqa: S307 - see `resolve`

    def __reduce__(self) -> tuple[Any, ...]:  # Any: pickle's own protocol
        return resolve, (self.name,)


class Late:
    """Calls what a name stands for at the time of the call, and not when it arrived.

    A `Reference` in the place of a function would be looked up when that is unpickled.

    Args:
        name: as for `Reference`.
    """

    name: str

    def __init__(self, name: str) -> None:
        self.__name__ = self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found: Any = resolve(self.name)
        return found(*args, **kwargs)


def resolve(name: str) -> object:
    """Return what *name* stands for here."""
    namespace = current_namespace()
    if namespace is None:
        return Reference(name)
    return eval(name, namespace)  # noqa: S307 - whoever may submit may run code; that is its use
