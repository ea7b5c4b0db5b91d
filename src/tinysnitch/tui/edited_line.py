"""A line that is edited where it stands, on any terminal: what is written are its own text, blanks and `\\r`."""

from tinysnitch.view.edit_view import EditView
from tinysnitch.view.text import ELLIPSIS, cell_width


def render_edit(old: EditView | None, new: EditView, width: int) -> str:
    """What to write so that the row shows the new line; what is typed at its end is written alone, to be read aloud."""
    room = max(4, width - 1)  # the last column would wrap
    if old and _is_longer_at_the_end(old, new) and cell_width(new.before) < room:
        return new.before[len(old.before) :]
    before, rest = _window(new, room)
    blank = " " * (room - cell_width(before) - cell_width(rest))
    return f"\r{before}{rest}{blank}\r{before}"


def _is_longer_at_the_end(old: EditView, new: EditView) -> bool:
    return old.text == f"{old.before} " and new.text == f"{new.before} " and new.before.startswith(old.before)


def _window(view: EditView, room: int) -> tuple[str, str]:
    """What fits of the text before the cursor, and from it on."""
    before = view.before
    if cell_width(view.text) > room:
        before = _cut_start(before, room * 3 // 4)
    rest = f"{view.at}{view.after}"
    return before, _cut_start(rest[::-1], room - cell_width(before))[::-1]


def _cut_start(text: str, width: int) -> str:
    """Its last columns, with a mark in place of what is cut off."""
    if cell_width(text) <= width:
        return text
    while text and cell_width(text) > width - 1:
        text = text[1:]
    return f"{ELLIPSIS}{text}"
