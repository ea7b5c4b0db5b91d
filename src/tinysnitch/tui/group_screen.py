"""Lays out the list of questions that are answered together for a terminal.

The list gets all rows but those of sentence, rule, keys and time, and in a larger terminal who asks, and blank rows.
How many these are does not depend on what is in sight, so that the list has the same room on every page.
"""

from rich.text import Text

from tinysnitch.tui.prompt_screen import fact_block, key_rows, rule_rows, time_row, warning_rows
from tinysnitch.tui.rows import QUIET, STRONG, WARNING, as_question, at_both_ends, join, place, room_of
from tinysnitch.view.escape import shorten_end
from tinysnitch.view.group_view import GroupView, ShownRow
from tinysnitch.view.prompt_view import PromptView

LEAST_ROWS = 2  # of the list, also in the smallest terminal
MARGIN = 3  # columns before the names: where the cursor is, and what is left out
FACTS_FROM, BLANKS_FROM = 16, 22  # rows of a terminal from which on it shows who asks, and blank rows
WHO = ("path", "program", "arguments")
LABEL_WIDTH = 12


def render_group(view: PromptView, width: int, height: int) -> Text:
    """The whole screen, in at most `height` rows."""
    room = room_of(width)
    group = view.group
    if group is None:
        return Text()
    above, below = _rows_around(view, room, height)
    return place([*above, _place_row(view, group, room), *map(_list_row, group.rows), *below], width, height)


def list_room(view: PromptView, width: int, height: int) -> tuple[int, int]:
    """The columns and rows that the list has in a terminal of this size."""
    room = room_of(width)
    above, below = _rows_around(view, room, height)
    return max(1, room - MARGIN), max(LEAST_ROWS, height - len(above) - len(below) - 1)


def _rows_around(view: PromptView, room: int, height: int) -> tuple[list[Text], list[Text]]:
    """The rows above and below the list and the row that tells its place. In a small terminal the last ones of the keys
    that are in the help are left out first, then warnings that have no room, and the rule."""
    answers, others = key_rows(view, room)
    blank = [Text()] if height >= BLANKS_FROM else []
    spare = height - LEAST_ROWS - 3 - len(answers)  # 3: sentence, place and time
    told = [Text(shorten_end(f"y answers {view.together}, each with one like", room), QUIET)] if blank else []
    rule = [*told, *rule_rows(view, room, 1)][: max(0, spare)]
    warnings = warning_rows(view.warnings, room, min(max(0, spare - 1), max(1, height // 8)))
    others = others[: max(0, spare - len(rule) - len(warnings) - 1)]
    who = tuple(line for line in view.who if line.label in WHO)
    facts = fact_block(who, room, len(who), LABEL_WIDTH) if height >= FACTS_FROM else []
    above = [join(view.sentence), *warnings, *blank, *facts, *(blank if facts else [])]
    return above, [*blank, *rule, *blank, *answers, *others, time_row(view, room)]


def _place_row(view: PromptView, group: GroupView, room: int) -> Text:
    """What is in sight, and what is not; in its place the news, which is gone with the next key."""
    unseen = f"{group.unseen_count} not seen yet" if group.unseen_count else view.waiting
    told = Text(view.notice, WARNING) if view.notice else Text(group.place, QUIET)
    return at_both_ends(told, Text(unseen, STRONG), room)


def _list_row(row: ShownRow) -> Text:
    cursor = ">" if row.is_cursor and row.is_first else " "
    mark = "-" if row.is_left_out and row.is_first else " "
    return as_question(Text.assemble((f"{cursor}{mark} ", STRONG), join(row.spans)), row.prompt_id)
