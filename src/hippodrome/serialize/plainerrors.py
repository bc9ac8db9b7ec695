"""Errors whose classes cannot make them again.

Python's own way calls the class with the error's `args`. Those are what the class has told
`Exception`, often one text made of other arguments, so that its constructor refuses them, or makes
another text of them.
"""

from __future__ import annotations

from typing import Any

from hippodrome.serialize import rebuild
from hippodrome.serialize.byvalue import Pickler


class PlainErrorPickler(Pickler):
    """A pickler that lets users' constructors of errors alone."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, BaseException) and type(obj).__module__ != "builtins":
            reduced = obj.__reduce_ex__(5)
            if isinstance(reduced, tuple) and reduced[0] is type(obj):
                cls, args, *state = reduced
                return rebuild.bare_error, (cls, args), *state
        return super().reducer_override(obj)
