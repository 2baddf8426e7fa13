import multiprocessing

import pytest
from tasks import hold

from harness.core.errors import HarnessError
from harness.core.files import claimed, written


def test_a_claim_keeps_other_processes_out_and_goes_with_its_own(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=hold, args=(tmp_path / "lock", held))
    other.start()
    assert held.wait(60)
    with pytest.raises(HarnessError, match="taken by another"), claimed(tmp_path / "lock", "taken by another"):
        pass
    other.kill()
    other.join()
    with claimed(tmp_path / "lock", "taken by another"):
        pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "elsewhere"), "No space left on device"),
        (OSError("encoder error -2\n when writing"), "encoder error -2 when writing"),
        (OSError(), "OSError"),
    ],
)
def test_why_something_cannot_be_written_is_said_whatever_the_error_holds(error, said):
    with pytest.raises(HarnessError) as caught, written("a/b.png"):
        raise error
    assert str(caught.value) == f"a/b.png: cannot be written ({said}); make its folder writable, make room or give another one"
