"""Work in pieces: the same results in the same order, with one thread and with several."""

from __future__ import annotations

import threading

import pytest

torch = pytest.importorskip("torch")

from pcsr_zoo.geometry.parallel import each  # noqa: E402


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_from_as_many_threads(threads):
    before, seen = torch.get_num_threads(), set()
    barrier = threading.Barrier(threads, timeout=20)

    def work(item: int) -> tuple[int, int]:
        if item < threads:
            barrier.wait()  # passes only if so many pieces are under way at once
        seen.add(threading.get_ident())
        return item * item, torch.get_num_threads()

    try:
        torch.set_num_threads(threads)
        found = list(each(work, range(7)))
        assert [value for value, _ in found] == [item * item for item in range(7)]
        assert {inner for _, inner in found} == {1}
        assert len(seen) == threads
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
