"""A client's ``__main__`` and an engine's namespace, without processes."""

from __future__ import annotations

import sys
import textwrap
import types
from typing import Any

import pytest

from hippodrome import serialize
from hippodrome.serialize.namespaces import captures_of


class Main:
    """Stands in for the ``__main__`` of a script or notebook."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = types.ModuleType("__main__")
        self.names = vars(self.module)
        monkeypatch.setitem(sys.modules, "__main__", self.module)

    def run(self, source: str) -> None:
        exec(compile(textwrap.dedent(source), "<main>", "exec", dont_inherit=True), self.names)

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


class Engine:
    """Loads and calls functions as an engine does; keeps them by digest."""

    def __init__(self, pickler: serialize.FunctionPickler | None = None) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.pickler = pickler or serialize.FunctionPickler()
        self.functions: dict[bytes, Any] = {}

    def load(self, f: Any) -> Any:
        function = self.pickler.pickle(f)
        if function.digest not in self.functions:
            loaded = serialize.load_function(function.data, self.namespace)
            self.functions[function.digest] = loaded
        return self.functions[function.digest]

    def call(self, f: Any, *args: Any, **kwargs: Any) -> Any:
        return unpack(serialize.dumps(self.call_there(f, *args, **kwargs)))

    def call_there(self, f: Any, *args: Any, **kwargs: Any) -> Any:
        """Call, and return the result as the engine has it."""
        function = self.load(f)
        sent = serialize.dumps_call(args, kwargs)
        with serialize.unpickling_in(self.namespace):
            there, named = unpack(sent)
            with serialize.calling(captures_of(function), self.namespace):
                return function(*there, **named)

    def run(self, function: bytes, arguments: bytes) -> Any:
        """Call what another process pickled."""
        f = serialize.load_function(function, self.namespace)
        with serialize.unpickling_in(self.namespace):
            args, kwargs = serialize.loads(arguments)
            with serialize.calling(captures_of(f), self.namespace):
                return f(*args, **kwargs)

    @property
    def visible(self) -> set[str]:
        """What a user would see in the namespace."""
        return set(self.namespace) - {"__name__", "__builtins__"}


def unpack(pickled: serialize.Pickled) -> Any:
    """Load what was pickled as if it had travelled: from bytes of its own."""
    return serialize.loads(pickled.payload, [bytes(buffer) for buffer in pickled.buffers])
