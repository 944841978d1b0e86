"""Limits have one home, and what people read about them is true."""

import re

_HOME = "index/base/limits.h"
_DEFINITION = re.compile(r"\b(?:constexpr|const)\b[^;={(]*\b(k[A-Z]\w*Max)\s*(?:=|\{)")
_VALUE = re.compile(r"\b(k[A-Z]\w*)\s*=\s*([^;]+);")
# A row of a table: | what it is | value | `kNameMax` |
_ROW = re.compile(r"^\|[^|]*\|\s*([^|]*?)\s*\|\s*`(k[A-Z]\w*)`\s*\|$")
_QUANTITY = re.compile(r"([\d,]+)(?: (KiB|MiB|GiB))?\b")
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def check(tree):
    for path, text in tree.cpp():
        if path == _HOME:
            continue
        for match in _DEFINITION.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{number}: {match[1]} is a limit; limits are defined in {_HOME}"
    values = _values(tree.text(_HOME)) if _HOME in tree.paths else {}
    for path, text in tree.texts():
        if path.endswith(".md"):
            yield from _rows(path, text, values)


def _rows(path, text, values):
    for number, line in enumerate(text.split("\n"), 1):
        row = _ROW.match(line)
        if row is None:
            continue
        said, name = row.groups()
        quantity = _QUANTITY.match(said)
        if name not in values:
            yield f"{path}:{number}: {name} is not in {_HOME}"
        elif quantity is None or \
                int(quantity[1].replace(",", "")) * _UNITS[quantity[2] or ""] != values[name]:
            yield f"{path}:{number}: says {said}, {name} is {values[name]}"


def _values(text):
    """Name -> number of the constants that are written as plain shifts, sums and products."""
    values = {}
    for name, expression in _VALUE.findall(text):
        plain = re.sub(r"\b(?:size_t|u?int\d+_t)\{(\w+)\}", r"\1", expression.replace("'", ""))
        plain = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", plain)
        if re.fullmatch(r"[0-9a-fA-FxX<*+() -]+", plain):
            values[name] = eval(plain, {"__builtins__": {}})  # digits and operators alone
    return values
