"""CMake targets link what the table of modules allows."""

import re

from modules import ALLOWED, LIBRARY_TARGETS, may_know, module_of

_COMMAND = re.compile(r"\b(\w+)\s*\(([^()]*)\)")
_COMMENT = re.compile(r"#[^\n]*")
_KEYWORDS = {"PRIVATE", "PUBLIC", "INTERFACE", "STATIC", "SHARED", "OBJECT"}
_DEFINES = {"tessera_library", "add_library", "add_executable"}


def check(tree):
    commands = list(_commands(tree))
    home = {words[0]: module_of(path) for path, _, name, words in commands
            if name in _DEFINES and words}
    for path, number, name, words in commands:
        module = module_of(path)
        if not module:
            continue
        for library in _linked(name, words):
            for complaint in _complaints(module, library, home):
                yield f"{path}:{number}: {words[0]} links {library}: {complaint}"


def _commands(tree):
    """(path, line, command, words) of every plain command in every CMakeLists.txt."""
    for path, text in tree.texts():
        if path.rpartition("/")[2] != "CMakeLists.txt":
            continue
        text = _COMMENT.sub("", text)
        for match in _COMMAND.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            yield path, number, match.group(1), match.group(2).split()


def _linked(name, words):
    if name == "target_link_libraries":
        return [w for w in words[1:] if w not in _KEYWORDS]
    if name == "tessera_library":
        libraries, taking = [], False
        for word in words[1:]:
            if word in ("SRCS", "LIBS", "PUBLIC_LIBS"):
                taking = word != "SRCS"
            elif taking:
                libraries.append(word)
        return libraries
    return []


def _complaints(module, library, home):
    if library in home:
        other = home[library]
        if other and not may_know(module, other):
            known = ", ".join(sorted(ALLOWED[module])) or "nothing of the house"
            yield f"{module} may link {known}"
        return
    plain = library.lower()
    for name, (title, users) in LIBRARY_TARGETS.items():
        if re.search(rf"(^|\W){name}", plain) and module not in users:
            yield f"{title} is linked only by {', '.join(sorted(users))}"
