import pytest


@pytest.fixture(scope="session", autouse=True)
def settled(backend):
    """Everything here computes."""
