"""ipyparallel's name for what lets code objects be pickled: once this is imported, they can be.

Functions that are sent need it not. Code travels as `marshal` writes it, between interpreters of
one minor version.
"""

from __future__ import annotations

import copyreg
import marshal
from types import CodeType

__all__ = ["code_ctor", "reduce_code"]


def code_ctor(data: bytes) -> CodeType:
    """Return the code object that `reduce_code` took apart."""
    code = marshal.loads(data)  # noqa: S302 - whoever unpickles runs code anyway
    if not isinstance(code, CodeType):
        raise TypeError(f"a code object is expected, not a {type(code).__name__}")
    return code


def reduce_code(obj: CodeType) -> tuple[object, ...]:
    """Return how pickle makes a code object again."""
    if not isinstance(obj, CodeType):
        raise TypeError(f"a code object is expected, not a {type(obj).__name__}")
    return code_ctor, (marshal.dumps(obj),)


copyreg.pickle(CodeType, reduce_code)  # type: ignore[arg-type]  # of the reduced form
