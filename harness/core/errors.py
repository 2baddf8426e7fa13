"""The one exception that people see."""


class HarnessError(Exception):
    r"""A request that is refused: one line that says what, where and what to do (exit code 2).

    Examples
    --------
    >>> print(HarnessError("a\nb.tif: is no image; replace it"))
    a\nb.tif: is no image; replace it
    """

    def __init__(self, line: str) -> None:
        super().__init__(one_line(line))


def one_line(text: str) -> str:
    """A text in which what cannot be printed is written as Python would: names of files and words of others hold anything."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
