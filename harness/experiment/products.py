"""Rows of a registry file from a product of factors: `[product.NAME]`, a row for each combination of values."""

import re
from itertools import product
from typing import Any

from harness.core.errors import HarnessError

MOST = 1000  # rows of one product: more is a slip


def expanded(values: dict[str, Any], where: str) -> dict[str, Any]:
    """A registry as its file has it, with rows in place of products; they come after those that are written out.

    Parameters
    ----------
    values : dict
        `product` maps a name to a row in which `{factor}` stands for a value, and its `factors`: name to values. A text that is
        nothing but `{factor}` becomes the value, of whatever type; a row's id is the product's name and the values with "-"
        between them.
    where : str
        The file, for messages.

    Raises
    ------
    HarnessError
        A product that is none, a text with a factor that is not there, too many rows, or a row whose id is taken.
    """
    values = dict(values)
    products, rows = values.pop("product", {}), values.get("rows", {})
    if not products or not isinstance(rows, dict):
        return values
    if not isinstance(products, dict):
        raise HarnessError(f"{where}: product: expected tables [product.NAME]")
    made: dict[str, Any] = dict(rows)
    for name, template in products.items():
        for id_, row in _rows(name, template, f"{where}: product.{name}"):
            if id_ in made:
                raise HarnessError(f"{where}: product.{name}: there is a row '{id_}' already; call one of them something else")
            made[id_] = row
    return values | {"rows": made}


def _rows(name, template, where):
    row = dict(template) if isinstance(template, dict) else {}
    factors = _factors(row.pop("factors", None), f"{where}.factors")
    for combination in product(*factors.values()):
        chosen = dict(zip(factors, combination, strict=True))
        yield "-".join(map(str, (name, *combination))), _filled(row, chosen, where)


def _factors(factors, where):
    if not isinstance(factors, dict) or not factors:
        raise HarnessError(f"{where}: expected a table of lists, as {{share = [0.1, 0.2], mask = [0, 1]}}")
    count = 1
    for name, levels in factors.items():
        if not isinstance(levels, list) or not levels or not all(isinstance(level, str | int | float) for level in levels):
            raise HarnessError(f"{where}.{name}: expected a list of words or numbers")
        count *= len(levels)
    if count > MOST:
        raise HarnessError(f"{where}: they make {count} rows; expected {MOST} at most")
    return factors


def _filled(part, chosen, where):
    """A part of a row with the values of factors in their places."""
    if isinstance(part, dict):
        return {key: _filled(value, chosen, f"{where}.{key}") for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, chosen, where) for value in part]
    if not isinstance(part, str):
        return part
    for factor in re.findall(r"\{(\w*)\}", part):
        if factor not in chosen:
            raise HarnessError(f"{where}: no factor '{factor}'; there is {', '.join(chosen)}")
    whole = re.fullmatch(r"\{(\w+)\}", part)
    return chosen[whole[1]] if whole else re.sub(r"\{(\w+)\}", lambda found: str(chosen[found[1]]), part)
