"""The comment behind a rule on its line: who made it, when, and what for: `# by alice 2026-12-02 the shop`.

A note is for people, and decides nothing. It is one line of visible characters, whatever names and notes hold.
"""

from datetime import UTC, datetime

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.quoting import BadWord, find_comment, visible_text

MAX_NOTE = 200  # characters of what a person writes


def note_of(line: str) -> str:
    """The comment of a line of a rules file; "" if it has none, or is no rule."""
    if "#" not in line:  # as most lines are
        return ""
    try:
        return visible_text(find_comment(line).strip())
    except BadWord:
        return ""


def with_note(line: str, note: str) -> str:
    return f"{line}  # {note}" if note else line


def made_by(who: str, wall_s: float, note: str = "") -> str:
    """The note of a line that this user has just made. Raises SnitchError when their own note is too long."""
    if len(note) > MAX_NOTE:
        raise SnitchError(f"the note has more than {MAX_NOTE} characters", "write what the rule is for in a few words")
    day = datetime.fromtimestamp(wall_s, UTC).date().isoformat()
    return " ".join(filter(None, ("by", visible_text(who), day, note)))
