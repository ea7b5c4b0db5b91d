"""A line of the file of learned rules: a rule, and in a comment why it passed without one, and since when.

`allow shop.test 443 tcp /usr/bin/curl # learn since 2026-12-02T12:20:03Z`. Lines of earlier builds have no comment.
"""

import re

from tinysnitch.core.rules.qualifiers import format_until

LEARN, PAUSE = "learn", "pause"  # why: `--learn` observed, or a pause (also one without end) was in force
_COMMENT = re.compile(rf" # (?:{LEARN}|{PAUSE}) since \S+Z\Z")


def format_learned(rule: str, why: str, since_s: float) -> str:
    """`since_s`: wall-clock seconds."""
    return f"{rule} # {why} since {format_until(since_s)}"


def split_learned(line: str) -> tuple[str, str]:
    """The rule's line, and what the comment says of it; "" if there is none."""
    comment = _COMMENT.search(line)
    return (line[: comment.start()], comment[0].removeprefix(" # ")) if comment else (line, "")
