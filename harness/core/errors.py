"""The one exception that people see."""


class HarnessError(Exception):
    """A request that is refused: one line that says what, where and what to do (exit code 2)."""
