"""Signals that come before user code has begun, or when that of another attempt runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from hippodrome.engine.interrupts import Interrupts, Stopped, call_user


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    interrupts = Interrupts(write_fd)
    interrupts.install()
    yield interrupts
    signal.set_wakeup_fd(-1)
    for signum, handler in before.items():
        signal.signal(signum, handler)
    os.close(read_fd)
    os.close(write_fd)


def is_struck(interrupts: Interrupts, meant: int, running: int) -> bool:
    """Interrupt the attempt *meant* while user code of *running* runs; return what comes of it."""

    def user_code() -> None:
        interrupts.begin(running)
        interrupts.interrupt(meant)

    interrupts.serial = running
    try:
        call_user(user_code)
    except KeyboardInterrupt:
        return True
    return False


def test_an_interrupt_strikes_the_attempt_that_it_is_meant_for(interrupts: Interrupts) -> None:
    assert is_struck(interrupts, meant=7, running=7)


@pytest.mark.parametrize("meant", [6, 8])
def test_an_interrupt_strikes_no_other_attempt(meant: int, interrupts: Interrupts) -> None:
    assert not is_struck(interrupts, meant, running=7)
    assert not interrupts.is_pending


@pytest.mark.parametrize(("next_one", "is_meant"), [(7, True), (8, False)])
def test_an_interrupt_between_attempts_waits_for_its_own(
    next_one: int, is_meant: bool, interrupts: Interrupts
) -> None:
    interrupts.interrupt(7)
    struck = False
    try:
        call_user(interrupts.begin, next_one)
    except KeyboardInterrupt:
        struck = True
    assert struck is is_meant


def test_what_is_about_to_begin_does_not_once_this_process_is_to_stop() -> None:
    interrupts = Interrupts(wake_fd=-1)
    interrupts.begin(1)
    interrupts.is_stopping = True
    with pytest.raises(Stopped):
        interrupts.begin(2)
