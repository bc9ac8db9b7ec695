"""The page that outlives its engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hippodrome.process import page
from hippodrome.process.page import Page


@pytest.fixture
def views() -> Iterator[tuple[Page, Page]]:
    descriptor = page.create()
    writer, reader = Page(descriptor), Page(descriptor)
    os.close(descriptor)
    yield writer, reader
    writer.close()
    reader.close()


def test_a_new_page_says_that_nothing_was_started(views: tuple[Page, Page]) -> None:
    _, reader = views
    assert reader.started == 0
    assert reader.busy_s(1e9) == 0.0


def test_one_side_reads_what_the_other_wrote(views: tuple[Page, Page]) -> None:
    writer, reader = views
    writer.start(2**40, 10.0)
    assert reader.started == 2**40
    assert reader.busy_s(12.5) == 2.5
    writer.idle()
    assert reader.started == 2**40
    assert reader.busy_s(12.5) == 0.0


def test_serials_that_begin_anew_are_written_down(views: tuple[Page, Page]) -> None:
    writer, reader = views
    writer.start(7, 10.0)
    writer.start_over()
    assert reader.started == 0
