"""Files and functions stay small enough to be read in one sitting."""

import re
import statistics

FILE_LINES_MAX = 800
FILE_LINES_MOST = 400  # of nine files in ten
FILE_LINES_MEDIAN = 150
FUNCTION_LINES_MAX = 70
README_LINES_MAX = 120

# A function's opening line in clang-format's layout: it ends a parameter list (or an initializer
# list) at the indentation that its closing brace will have.
_OPENING = re.compile(r"^(?P<indent> *)(?P<head>[^\s#/}].*)\{$")
_NO_FUNCTION = re.compile(
    r"^(namespace|class|struct|union|enum|extern|if|else|for|while|switch|do|try|case|default"
    r"|return|public|private|protected)\b|=\s*$|\]\s*(\([^()]*\))?\s*(mutable)?\s*$")


def check(tree):
    lengths = {path: text.count("\n") for path, text in tree.sources()}
    for path, text in tree.texts():
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            yield f"{path}:1: {lines} lines; no file has more than {FILE_LINES_MAX}"
        if path.endswith("/README.md") and lines > README_LINES_MAX:
            yield f"{path}:1: {lines} lines; a folder's README is a page ({README_LINES_MAX})"
    if lengths:
        yield from _distribution(lengths)
    for path, text in tree.cpp():
        for number, lines in functions(text):
            if lines > FUNCTION_LINES_MAX:
                yield (f"{path}:{number}: a function of {lines} lines; "
                       f"at most {FUNCTION_LINES_MAX}")


def _distribution(lengths):
    median = statistics.median(lengths.values())
    if median > FILE_LINES_MEDIAN:
        yield f"the median file has {median:g} lines; at most {FILE_LINES_MEDIAN}"
    long = sorted((p for p in lengths if lengths[p] > FILE_LINES_MOST), key=lengths.get)
    if len(long) * 10 > len(lengths):
        listed = ", ".join(f"{p} ({lengths[p]})" for p in long)
        yield (f"{len(long)} of {len(lengths)} files have more than {FILE_LINES_MOST} lines; "
               f"at most one in ten may: {listed}")


def functions(text):
    """(first line, number of lines) of each function body, by the layout of clang-format."""
    lines = text.split("\n")
    for start, line in enumerate(lines):
        match = _OPENING.match(line)
        if match is None or _NO_FUNCTION.search(match["head"].rstrip()):
            continue
        closing = match["indent"] + "}"
        for end in range(start + 1, len(lines)):
            if lines[end] == closing:
                yield start + 1, end - start + 1
                break
            # Less indented text before the brace: it was not a function's opening.
            if lines[end].strip() and not lines[end].startswith((match["indent"], "#")):
                break
