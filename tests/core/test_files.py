import multiprocessing

import pytest
from tasks import hold

from harness.core.errors import HarnessError
from harness.core.files import claimed


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
