"""Includes go one way through the house, and each library has one user."""

import re

from modules import (ALLOWED, INDEX_FORBIDDEN_HEADERS, INDEX_FORBIDDEN_PREFIXES,
                     LIBRARY_HEADERS, may_know, module_of)

_INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
_HOUSE = ("index/", "server/", "client/", "proto/", "tests/")


def check(tree):
    for path, text in tree.cpp():
        module = module_of(path)
        in_tests = path.startswith("tests/")
        if not module and not in_tests:
            yield f"{path}:1: this folder is no module of the table in tests/tidy/modules.py"
            continue
        for number, line in enumerate(text.split("\n"), 1):
            match = _INCLUDE.match(line)
            if match is None:
                continue
            for complaint in _complaints(path, module, *match.groups()):
                yield f"{path}:{number}: {complaint}"


def _complaints(path, module, quote, header):
    if quote == '"' and header.startswith(_HOUSE):
        other = module_of(header)
        if header.startswith("tests/"):
            if module:
                yield f"includes {header}: only tests include tests"
        elif not other:
            yield f"includes {header}, which is in no module of tests/tidy/modules.py"
        elif not may_know(module, other):
            known = ", ".join(sorted(ALLOWED[module])) or "nothing of the house"
            yield f"includes {header}: {module} may know {known}"
    elif quote == '"' and "/" not in header:
        yield f"includes {header}: includes are written from the project's root"
    if not module:
        return
    for prefix, (library, users) in LIBRARY_HEADERS.items():
        if header.startswith(prefix) and module not in users:
            yield f"includes {header}: {library} is used only by {', '.join(sorted(users))}"
    if module.startswith("index/") and (header in INDEX_FORBIDDEN_HEADERS
                                        or header.startswith(INDEX_FORBIDDEN_PREFIXES)):
        yield f"includes {header}: index/ has no file, socket, thread or log of its own"
