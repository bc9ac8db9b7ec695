"""Signals that come before user code has begun."""

from __future__ import annotations

import pytest

from hippodrome.engine.interrupts import Interrupts, Stopped


def test_what_is_about_to_begin_does_not_once_this_process_is_to_stop() -> None:
    interrupts = Interrupts(wake_fd=-1)
    interrupts.begin(1)
    interrupts.is_stopping = True
    with pytest.raises(Stopped):
        interrupts.begin(2)
