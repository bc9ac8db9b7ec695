"""What a client remembers of the functions that it has sent."""

from __future__ import annotations

import time

from hippodrome.client.link.sent_functions import REMEMBERED, FunctionBook
from hippodrome.protocol.messages import Digest


def name(n: int) -> Digest:
    return Digest(n.to_bytes(16, "big"))


def test_no_function_is_forgotten_that_an_outstanding_task_needs() -> None:
    book = FunctionBook()
    n = REMEMBERED + 100
    needed = [book.need(name(i), b"code %d" % i) for i in range(n)]
    assert len(book.take_unsent(map(name, range(n)))[0]) == n
    for i in range(n, 2 * n):  # others come and go
        book.need(name(i), b"code").release()
    book.check(needed)
    assert [f.blob for f in book.kept([name(i) for i in range(n)])] == [
        b"code %d" % i for i in range(n)
    ]
    assert book.take_unsent(map(name, range(n)))[0] == [], "they are not sent twice either"
    for function in needed:
        function.release()
    book.check([])
    assert book.kept([name(i) for i in range(n)]) == [], "nobody needs their code any more"


def test_what_was_sent_is_remembered_and_the_oldest_forgotten() -> None:
    book = FunctionBook(remembered=3)
    for i in range(5):
        book.need(name(i), b"code").release()
        book.take_unsent([name(0)])
        book.need(name(0), b"code").release()
    assert len(book.digests) <= 4 + 1
    assert name(0) in book.digests
    assert name(1) not in book.digests
    book.check([])


def test_a_function_costs_the_same_however_many_are_outstanding() -> None:
    def seconds(book: FunctionBook, first: int, n: int = 2000) -> float:
        began = time.process_time()
        for i in range(first, first + n):
            book.need(name(i), b"code")
        return time.process_time() - began

    few, many = FunctionBook(), FunctionBook()
    for i in range(50_000):
        many.need(name(i), b"code")
    fast = min(seconds(few, first) for first in (0, 2000))
    slow = min(seconds(many, first) for first in (100_000, 102_000))
    assert slow < 20 * fast + 0.01  # 2,000 scans of 50,000 are thousands of times as much
