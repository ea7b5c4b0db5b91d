"""Shows a line that is edited in place on any terminal, even a dumb one: by its text, blanks and `\\r` alone."""

from tinysnitch.view.edit_view import EditView, fit_around_cursor
from tinysnitch.view.text import cell_width


def render_edit(old: EditView | None, new: EditView, width: int) -> str:
    """What to write so that the row shows the new line. If a character was typed at its end, only that is written, so
    that a screen reader reads it alone."""
    room = max(4, width - 1)  # without the last column, behind which the terminal would wrap
    if old and _is_longer_at_the_end(old, new) and cell_width(new.before) < room:
        return new.before[len(old.before) :]
    before, at, after = fit_around_cursor(new, room)
    blank = " " * (room - cell_width(f"{before}{at}{after}"))
    return f"\r{before}{at}{after}{blank}\r{before}"


def _is_longer_at_the_end(old: EditView, new: EditView) -> bool:
    return old.text == f"{old.before} " and new.text == f"{new.before} " and new.before.startswith(old.before)
