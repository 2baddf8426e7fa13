"""Fields and long tasks done in other processes of this machine, some of which are killed."""

from functools import partial

import pytest
from tasks import kill_itself, once

from harness.core import parallel


def test_no_more_fields_are_handed_out_than_are_needed(monkeypatch):
    monkeypatch.setattr(parallel, "AHEAD", 5)
    given = []
    results = parallel.over_fields(abs, _Watched(given), workers=2)
    assert next(results) == 0 and len(given) <= 6
    assert list(results) == list(range(1, 50))


def test_fields_come_in_order_where_a_task_holds_several():
    assert list(parallel.over_fields(divmod, range(777), [10] * 777, workers=2)) == [divmod(n, 10) for n in range(777)]


def test_a_killed_process_of_this_machine_is_replaced(tmp_path):
    assert list(parallel.over_fields(partial(once, tmp_path, 2), range(300), workers=2)) == list(range(300))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_job_whose_processes_are_always_killed_ends_in_one_line(harness, images, monkeypatch, tmp_path):
    lost = parallel.over_fields(partial(once, tmp_path, 99), range(300), workers=2)
    monkeypatch.setattr("harness.apps.jobs.over_fields", lambda *_, **__: (("a.tif", number, None, None) for number in lost))
    code, _, err = harness("label", "consensus", images, "out")
    assert code == 1 and "killed again and again" in err and err.count("\n") == 1


class _Watched(list):
    """The numbers -0 to -49, and which of them were asked for."""

    def __init__(self, given):
        super().__init__(-number for number in range(50))
        self.given = given

    def __iter__(self):
        for number in super().__iter__():
            self.given.append(number)
            yield number


@pytest.mark.parametrize(("times", "expected"), [(0, "task"), (1, "task"), (9, "lost")])
def test_a_killed_process_costs_its_task_another_try(tmp_path, times, expected):
    tasks = [(tmp_path / "task", times)]
    assert list(parallel.as_they_end(kill_itself, tasks, lambda *task: "lost")) == [expected]


def test_tasks_side_by_side_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(9)))
    tasks = [(), ()]
    assert list(parallel.as_they_end(parallel.cores, tasks, lambda: 0, workers=2)) == [4, 4]
