"""Prints the answer of `tessera search --with-payload --output json` as a table of words."""

import json
import shutil
import sys


def main():
    answer = json.load(sys.stdin)
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    for result in answer["results"]:
        for hit in result["hits"]:
            payload = hit["payload"]
            line = "  %.3f  %-22s %-11s %s" % (
                hit["score"], payload["word"], payload["category"], payload["gloss"])
            print(line if len(line) <= width else line[: width - 3] + "...")


if __name__ == "__main__":
    main()
