"""The reply that a cell gives: made on an engine, shown here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any  # Any: displayed data, metadata


def _shown_as(mime: str) -> Callable[[ExecuteReply], Any]:
    """Return the method by which IPython asks for *mime*."""
    return lambda reply: reply._repr_mime_(mime)


class ExecuteReply:
    """How a cell ran on one engine.

    What the task's `metadata` has, such as ``stdout``, can be read as attributes and items too.

    Attributes:
        execution_count: the number of the cell on that engine.
        source: the cell.
        data: what the value of its last expression shows, by mime type; empty if nothing.
        metadata: what is known of the task, in the client that asked for it.
        engine_id: which engine.
    """

    def __init__(
        self,
        execution_count: int,
        source: str,
        data: Mapping[str, Any],
        metadata: Mapping[str, Any],
        engine_id: int | None,
    ) -> None:
        self.execution_count = execution_count
        self.source = source
        self.data: dict[str, Any] = dict(data)
        self.metadata: Mapping[str, Any] = {}
        self._data_metadata = dict(metadata)
        self.engine_id = engine_id

    def describe(self, task: Mapping[str, Any]) -> None:
        """Let what is known of the task be read as attributes."""
        self.metadata = task

    def __reduce__(self) -> Any:
        data = (self.data, self._data_metadata)
        parts = (self.execution_count, self.source, *data, self.engine_id)
        return type(self), parts

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self.metadata]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.__dict__.get("metadata", ()):
            return self.metadata[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError:
            raise KeyError(key) from None

    @property
    def text(self) -> str:
        """The value of the last expression as plain text; empty if there is none."""
        return str(self.data.get("text/plain", ""))

    def __repr__(self) -> str:
        text = self.text
        short = text if len(text) <= 32 else f"{text[:29]}..."
        return f"<ExecuteReply[{self.execution_count}]: {short}>"

    def __str__(self) -> str:
        if not self.data:
            return ""
        separator = "\n" if "\n" in self.text else " "
        return f"Out[{self.engine_id}:{self.execution_count}]:{separator}{self.text}"

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        """Show the value in IPython, also inside a list of replies; without one, what this is."""
        p.text(str(self) or repr(self))

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Show in a notebook what the engine would show."""
        if not self.data:
            return {"text/plain": repr(self)}, {}
        return {**self.data, "text/plain": str(self)}, self._data_metadata

    def _repr_mime_(self, mime: str) -> Any:
        """Return what the value shows as *mime*, None if nothing."""
        return self.data.get(mime)

    _repr_html_ = _shown_as("text/html")
    _repr_markdown_ = _shown_as("text/markdown")
    _repr_latex_ = _shown_as("text/latex")
    _repr_json_ = _shown_as("application/json")
    _repr_javascript_ = _shown_as("application/javascript")
    _repr_png_ = _shown_as("image/png")
    _repr_jpeg_ = _shown_as("image/jpeg")
    _repr_svg_ = _shown_as("image/svg+xml")

    def display(self) -> None:
        """Show it here: richly in IPython, else as text."""
        from hippodrome.display import show

        if self.data:
            show({**self.data, "text/plain": str(self)}, self._data_metadata)
