"""What is shown around the list of any page: its title and filter, what is told of the selected row, and the keys."""

import msgspec

from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.view.edit_view import EditView, present_edit
from tinysnitch.view.escape import escape_text
from tinysnitch.view.pages.list_page import COMES_BACK, GOES, ListPage
from tinysnitch.view.prompt_view import KeyHint
from tinysnitch.view.span import Line, Span, present_line

_SIGNS = {GOES: (Span("- "),), COMES_BACK: (Span("+ "),)}  # a narrow screen has no room for labels


class ListFrame(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    warnings: tuple[str, ...]
    filter: str
    is_filtering: bool  # it takes letters
    at: int | None  # the index of the selected row
    facts: tuple[Line, ...]  # of the selected row; or what Enter does
    edit: EditView | None  # the line that is edited
    notice: str
    hints: tuple[KeyHint, ...]


def present_frame(
    page: ListPage, now: float, *, title: str, facts: tuple[Line, ...], warnings: tuple[str, ...] = ()
) -> ListFrame:
    keys = page.row_keys()
    waiting = page.waiting
    if waiting and waiting.lines:
        labels = waiting.labels or ("rule",) * len(waiting.lines)
        facts = tuple(
            Line(label, (*_SIGNS.get(label, ()), *present_line(parse_rule(line))))
            for label, line in zip(labels, waiting.lines, strict=True)
        )
    return ListFrame(
        title=title,
        warnings=warnings,
        filter=escape_text(page.filter.text),
        is_filtering=page.is_filtering,
        at=keys.index(page.selected) if page.selected in keys else None,
        facts=() if page.edit else facts,
        edit=present_edit(page.edit, now + page.wall_ahead_s) if page.edit else None,
        notice=escape_text(page.notice),
        hints=page.hints(now),
    )
