"""Packages that only some uses need, so that the harness is installed without them."""

from importlib.util import find_spec

from harness.core.errors import HarnessError


def need(what: str, *packages: str, extra: str = "export") -> None:
    """Refuse in one line what cannot be done for want of a package.

    Parameters
    ----------
    what : str
        What needs it, as the line begins.
    *packages : str
        Names to import.
    extra : str
        Of pyproject.toml: what brings them.

    Raises
    ------
    HarnessError
        One of them is not installed.
    """
    for package in packages:
        if find_spec(package) is None:
            raise HarnessError(f"{what} needs the package {package}: pip install 'nuclei-label-harness[{extra}]'")
