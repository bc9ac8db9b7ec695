"""A client's ``__main__`` and an engine's namespace, without processes."""

from __future__ import annotations

import builtins
import contextlib
import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Any, Final

import pytest
from cloudpickle import cloudpickle

from hippodrome import serialize
from hippodrome.serialize.arrivals import MainModule
from hippodrome.serialize.namespaces import captures_of

_TRACKERS: Final = ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS")


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
        self.namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
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


class Apart(Engine):
    """An engine as in a process of its own: with a ``__main__`` and classes of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.module = MainModule("__main__")
        self.namespace = vars(self.module)
        self.namespace["__builtins__"] = builtins
        self._first_names = set(self.namespace)
        self._classes = {name: type(getattr(cloudpickle, name))() for name in _TRACKERS}

    def call(self, f: Any, *args: Any, **kwargs: Any) -> Any:
        function, sent = self.pickler.pickle(f), serialize.dumps_call(args, kwargs)
        with self.being_there():
            pickled = serialize.dumps(self._call(function.data, sent))
        return unpack(pickled)

    def call_there(self, f: Any, *args: Any, **kwargs: Any) -> Any:
        function, sent = self.pickler.pickle(f), serialize.dumps_call(args, kwargs)
        with self.being_there():
            return self._call(function.data, sent)

    def define(self, source: str) -> None:
        """Run a text elsewhere in a file of another name than a client would."""
        text = "\n" * 5 + textwrap.dedent(source)
        with self.being_there():
            exec(compile(text, "<there>", "exec", dont_inherit=True), self.namespace)

    def _call(self, function: bytes, sent: serialize.Pickled) -> Any:
        f = serialize.load_function(function, self.namespace)
        with serialize.unpickling_in(self.namespace):
            args, kwargs = unpack(sent)
            with serialize.calling(captures_of(f), self.namespace):
                return f(*args, **kwargs)

    @contextlib.contextmanager
    def being_there(self) -> Iterator[None]:
        """Make what concerns all of a process this engine's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "__main__", self.module)
            for name, table in self._classes.items():
                patch.setattr(cloudpickle, name, table)
            yield

    @property
    def visible(self) -> set[str]:
        return super().visible - self._first_names
