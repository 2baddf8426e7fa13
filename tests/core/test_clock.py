import subprocess
import sys

from harness.core import clock

SPIN = "import time; end = time.process_time() + 0.6\nwhile time.process_time() < end: pass"


def test_work_of_this_process_and_of_its_children_is_its_own():
    start = clock.read()
    exec(SPIN)
    mine = clock.since(start)
    subprocess.run([sys.executable, "-c", SPIN], check=True)
    both = clock.since(start)
    assert 0.55 <= mine.cpu <= mine.wall + 0.05
    assert mine.cpu + 0.55 <= both.cpu and mine.wall < both.wall


def test_work_of_a_process_that_is_no_child_is_others():
    start = clock.read()
    waiting = f"{SPIN}\nprint('done')"
    spinning = subprocess.Popen(["sh", "-c", f"'{sys.executable}' -c \"{waiting}\" &"], stdout=subprocess.PIPE, text=True)
    assert spinning.stdout.read() == "done\n"  # the shell has ended at once, so the child is nobody's here
    assert clock.since(start).others >= 0.5


def test_a_function_is_timed_by_its_processor_time():
    result, seconds = clock.timed(sum, range(10**6))
    assert result == sum(range(10**6)) and 0 < seconds < 5
