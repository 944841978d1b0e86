"""What a text may not contain."""

import re

# Written in two parts, so that this file passes its own check.
_UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b(?!\([^)]+\): \S)")
_MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:home|root|work|Users|mnt|scratch)/[\w.-]")
_TRACKER = re.compile(r"\bissue" r"s? #?\d", re.IGNORECASE)

_RULES = (
    (_UNFINISHED, "is unfinished work; do it, or give the reason as WORD(reason): text"),
    (_MACHINE_PATH, "is a path of one machine"),
    (_TRACKER, "refers to a tracker; say the reason itself"),
)


def check(tree):
    for path, text in tree.texts():
        for number, line in enumerate(text.split("\n"), 1):
            for pattern, complaint in _RULES:
                match = pattern.search(line)
                if match:
                    yield f"{path}:{number}: `{match[0]}` {complaint}"


def check_whitespace(tree):
    for path, text in tree.texts():
        if text and not text.endswith("\n"):
            yield f"{path}:{text.count(chr(10)) + 1}: the last line has no end"
        if text.endswith("\n\n"):
            yield f"{path}:{text.count(chr(10))}: ends with an empty line"
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line:
                yield f"{path}:{number}: has a tab"
            if line != line.rstrip():
                yield f"{path}:{number}: has white space at its end"
