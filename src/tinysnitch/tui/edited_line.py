"""A line that is edited where it stands, on any terminal: what is written are its own text, blanks and `\\r`."""

from tinysnitch.view.edit_view import EditView, fit_around_cursor
from tinysnitch.view.text import cell_width


def render_edit(old: EditView | None, new: EditView, width: int) -> str:
    """What to write so that the row shows the new line; what is typed at its end is written alone, to be read aloud."""
    room = max(4, width - 1)  # the last column would wrap
    if old and _is_longer_at_the_end(old, new) and cell_width(new.before) < room:
        return new.before[len(old.before) :]
    before, at, after = fit_around_cursor(new, room)
    blank = " " * (room - cell_width(f"{before}{at}{after}"))
    return f"\r{before}{at}{after}{blank}\r{before}"


def _is_longer_at_the_end(old: EditView, new: EditView) -> bool:
    return old.text == f"{old.before} " and new.text == f"{new.before} " and new.before.startswith(old.before)
