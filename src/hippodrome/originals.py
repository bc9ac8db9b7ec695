"""What was raised elsewhere, as it is here: marked with where that was."""

from __future__ import annotations

from typing import Any, Final

# Fields are had in this way because classes of users may have theirs with attributes.
_FIELDS: Final[Any] = vars(BaseException)["__dict__"]
_MEMBERS: Final[Any] = vars(BaseExceptionGroup)["exceptions"]


def mark_original(original: Exception, note: str, engine_info: dict[str, Any]) -> None:
    """Give *original* a note, unless it has that, and tell it and its members where they arose."""
    fields = _FIELDS.__get__(original)
    notes = fields.get("__notes__")
    if not isinstance(notes, list):
        fields["__notes__"] = [note]
    elif note not in notes:
        notes.append(note)
    locate(original, engine_info)


def locate(original: BaseException, engine_info: dict[str, Any]) -> None:
    """Give *original*, and all its members, an ``engine_info``, except those that have one."""
    waiting, seen = [original] if engine_info else [], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        fields = _FIELDS.__get__(one)
        found = fields.get("engine_info")
        if found is None or (type(found) is dict and not found):
            fields["engine_info"] = engine_info
        if issubclass(type(one), BaseExceptionGroup):
            waiting += _MEMBERS.__get__(one)
