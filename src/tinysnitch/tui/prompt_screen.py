"""Lays out a prompt's view for a terminal: the sentence first, then warnings, who and where, the rule, and the keys.

What must be seen (sentence, rule, `y` and `n`, time) always is. Further rows are given out in one fixed order, so that
a larger terminal never shows less. Where there is little room, facts that tell least are left out first, and of long
values the middle.
"""

import itertools

from rich.text import Text

from tinysnitch.tui.rows import (
    CURSOR,
    FAULT,
    GAP,
    QUIET,
    STRONG,
    URGENT,
    WARNING,
    at_both_ends,
    break_rows,
    flow,
    pieces_of,
    place,
    room_of,
    told_rows,
    wrap,
)
from tinysnitch.view.edit_view import EditView
from tinysnitch.view.escape import cell_width, shorten_end, shorten_middle
from tinysnitch.view.prompt_view import PromptView
from tinysnitch.view.span import Line, Span, Weight, format_time_left

MOST = 1000  # rows: more than any part takes
NOT_YET = "keys do not count yet"
MAX_SENTENCE_ROWS = 3
MAX_TOLD_ROWS = 3
MAX_RULE_ROWS, MAX_WIDER_ROWS = 4, 2
FIRST_WARNING_ROWS = 3  # further rows of warnings come after the facts
MAX_FACT_ROWS = 4
LABEL_WIDTH = 12  # columns of the longest label, and two blanks
TWO_COLUMNS = 76  # columns from which on who and where stand beside each other
LABELLED = 60  # columns from which on the rule stands behind its label
# Parts of the page, and before which of them a blank row comes first: facts, keys, rule, time, sentence, other keys.
_PARTS = ("top", "sentence", "warnings", "facts", "rule", "answers", "others", "time")
_BLANK_BEFORE = ("facts", "answers", "rule", "time", "sentence", "others", "warnings")
LEAST_TELLING = (
    "direction",
    "sha256",
    "parents",
    "belongs to",
    "package",
    "name",
    "path",
)  # left out first, in this order


class Spare:
    """The rows that are not given out yet."""

    def __init__(self, rows: int) -> None:
        self.rows = max(0, rows)

    def take(self, wanted: int) -> int:
        """As many rows of these as there are."""
        taken = min(max(0, wanted), self.rows)
        self.rows -= taken
        return taken


def render_prompt(view: PromptView, width: int, height: int) -> Text:
    """The whole screen, in at most `height` rows."""
    room = room_of(width)
    answers, others = key_rows(view, room)
    warnings = warning_rows(view.warnings, room, MOST)
    spare = Spare(height)
    spare.take(1)  # the time
    answered = spare.take(1)
    rule = spare.take(3 if view.edit else 1)
    sentence = spare.take(1)
    answered += spare.take(len(answers) - answered)
    warned = spare.take(min(1, len(warnings)))
    rule += spare.take(min(2, len(rule_rows(view, room, MOST))) - rule)
    others = others[: spare.take(len(others))]
    top = spare.take((not view.is_alone) + bool(view.notice))
    rule += spare.take(len(rule_rows(view, room, MOST)) - rule)
    warned += spare.take(min(FIRST_WARNING_ROWS, len(warnings)) - warned)
    sentence += spare.take(len(wrap(view.sentence, room, MAX_SENTENCE_ROWS)) - sentence)
    facts = spare.take(_count_facts(view, room))
    blanks = spare.take(len(_BLANK_BEFORE))
    warned += spare.take(len(warnings) - warned)
    facts += spare.take(len(_fact_rows(view, room, MOST)) - facts)
    top += spare.take(len(top_rows(view, room, MOST)) - top)
    parts = {
        "top": top_rows(view, room, top),
        "sentence": wrap(view.sentence, room, sentence) if sentence else [],
        "warnings": warning_rows(view.warnings, room, warned),
        "facts": _fact_rows(view, room, facts),
        "rule": rule_rows(view, room, rule),
        "answers": answers[:answered],
        "others": others,
        "time": [time_row(view, room)],
    }
    return place(_with_blanks(parts, blanks), width, height)


def _with_blanks(parts: dict[str, list[Text]], blanks: int) -> list[Text]:
    """All rows, with so many blank ones between the parts."""
    there = [name for name, rows in parts.items() if rows]
    apart = [name for name in _BLANK_BEFORE if name in there[1:]][:blanks]
    return [row for name in there for row in (*([Text()] if name in apart else []), *parts[name])]


def top_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """How many questions wait, if there are several, and what became of the last one."""
    waiting = [] if view.is_alone else [Text(shorten_end(view.waiting, room), STRONG)]
    told = told_rows(view.notice, room, min(MAX_TOLD_ROWS, height - len(waiting))) if view.notice else []
    return [*waiting, *told][:height]


def warning_rows(warnings: tuple[str, ...], room: int, height: int) -> list[Text]:
    """Warnings, as many in a row as fit; the last row counts those that have no room."""
    rows: list[list[str]] = []
    for warning in (shorten_middle(warning, room - 4) for warning in warnings):
        if rows and sum(cell_width(one) + 4 + GAP for one in rows[-1]) + cell_width(warning) + 4 <= room:
            rows[-1].append(warning)
        else:
            rows.append([warning])
    counted = ""
    if 0 < height < len(rows):
        first, *others = (warning for row in rows[height - 1 :] for warning in row)
        counted = f"   and {len(others)} more" if others else ""
        rows[height - 1] = [shorten_middle(first, room - 4 - len(counted))]
    shown = [Text(" " * GAP).join(map(_warning, row)) for row in rows[: max(0, height)]]
    if counted:
        shown[-1].append(counted, WARNING)
    return shown


def _warning(text: str) -> Text:
    return Text.assemble((" ! ", f"{WARNING} reverse"), (f" {text}", WARNING))


def key_rows(view: PromptView, room: int) -> tuple[list[Text], list[Text]]:
    """The rows of the keys that answer, and those of the others."""
    if view.edit:
        return flow(pieces_of(view.everyday[0], room, is_ready=True), room), []
    *answers, others = (pieces_of(hints, room, is_ready=view.is_ready) for hints in view.everyday)
    return [row for pieces in answers for row in flow(pieces, room)], flow(others, room)


def rule_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """The rule that `y` writes, in a few rows, and why it is wider than this question. Of a very long rule the longest
    words are cut in their middle."""
    if height <= 0:
        return []
    if view.edit:
        return edit_rows(view.edit, room, height)
    margin = LABEL_WIDTH if room >= LABELLED else 0
    wider = told_rows(view.wider, room - margin, min(MAX_WIDER_ROWS, height - 1), WARNING) if view.wider else []
    most = (height - len(wider)) // len(view.rules)
    rules = [row for rule in view.rules for row in wrap(rule, room - margin, min(MAX_RULE_ROWS, most))]
    return behind_label("rule", [*rules, *wider], margin)


def behind_label(label: str, rows: list[Text], margin: int) -> list[Text]:
    """The rows, with the label before the first of them, if there is a margin for it."""
    labels = [label if margin else "", *[""] * len(rows)]
    return [Text.assemble((f"{label:<{margin}}", QUIET), row) for label, row in zip(labels, rows, strict=False)]


def edit_rows(edit: EditView, room: int, height: int) -> list[Text]:
    """As much of the edited line as fits, with its cursor; below it the fault and the hint."""
    text = Text(edit.text)
    if edit.fault:
        text.stylize(FAULT, edit.column - 1)
    text.stylize(CURSOR, len(edit.before), len(edit.before) + len(edit.at))
    rows, ends = break_rows(text, room)
    at = next((index for index, end in enumerate(ends) if len(edit.before) < end), len(rows) - 1)
    most = max(1, min(MAX_RULE_ROWS, height - 2))
    first = max(0, min(at - most // 2, len(rows) - most))
    shown = rows[first : first + most]
    part = f"rows {first + 1} to {first + len(shown)} of {len(rows)}" if len(shown) < len(rows) else ""
    told = [Text(shorten_end(edit.fault, room), FAULT), Text(shorten_end(edit.hint or part, room), QUIET)]
    return [*shown, *told]


def _fact_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """Who and where: beside each other where that is wide enough, else below each other; and below both what was."""
    past = _past_rows(view, room)[: max(height, 0)]
    height -= len(past)
    if not _has_two_columns(view, room):
        return [*fact_block((*view.who, *view.where), room, height, LABEL_WIDTH), *past]
    label_width = max(cell_width(line.label) for line in view.where) + 2
    width = min(max(label_width + cell_width(line.text) for line in view.where), room * 2 // 5)
    start = room - width
    left = fact_block(view.who, start - GAP, height, LABEL_WIDTH)
    right = fact_block(view.where, width, height, label_width)
    rows = []
    for row, other in itertools.zip_longest(left, right, fillvalue=Text()):
        space = " " * (start - cell_width(row.plain)) if other.plain else ""
        rows.append(Text.assemble(row, space, other))
    return [*rows, *past]


def _past_rows(view: PromptView, room: int) -> list[Text]:
    """A row for each: what comes first tells most."""
    cut = room - LABEL_WIDTH
    rows = (behind_label(line.label, [Text(shorten_end(line.text, cut))], LABEL_WIDTH) for line in view.past)
    return [*itertools.chain.from_iterable(rows)]


def _has_two_columns(view: PromptView, room: int) -> bool:
    return room >= TWO_COLUMNS and bool(view.who and view.where)


def _count_facts(view: PromptView, room: int) -> int:
    """How many rows the facts take if each has one."""
    if _has_two_columns(view, room):
        return max(len(view.who), len(view.where)) + len(view.past)
    return len(view.lines)


def fact_block(lines: tuple[Line, ...], width: int, height: int, label_width: int) -> list[Text]:
    """A row for each fact; long facts take more, if there are rows to spare."""
    spare = max(0, height - len(lines))
    rows: list[Text] = []
    for line in _most_telling(lines, height):
        value = wrap(_in_facts(line), max(1, width - label_width), min(MAX_FACT_ROWS, 1 + spare))
        spare -= len(value) - 1
        rows += behind_label(line.label, value, label_width)
    return rows[: max(height, 0)]


def _in_facts(line: Line) -> tuple[Span, ...]:
    """The value of a fact, where what the rule covers is bold: colours are for the rule itself."""
    return tuple(Span(span.text, weight=_weight_in_facts(span)) for span in line.spans)


def _weight_in_facts(span: Span) -> Weight:
    return Weight.STRONG if span.is_covered and span.weight is Weight.PLAIN else span.weight


def _most_telling(lines: tuple[Line, ...], height: int) -> list[Line]:
    """At most `height` facts. Those that the screen shows elsewhere, too, or that tell least are left out first."""
    kept = list(lines)
    for label in LEAST_TELLING:
        if len(kept) > height:
            kept = [line for line in kept if line.label != label]
    return kept


def time_row(view: PromptView, room: int) -> Text:
    """Why it is asked, and the time that is left, both quiet; the time stands out when it is nearly over. NOT_YET is
    told in words, since on some terminals dim text looks like any other."""
    left = f"{format_time_left(view.seconds_left)}, then deny"
    time = Text(f" {left} ", f"{URGENT} reverse") if view.is_urgent else Text(left, QUIET)
    return at_both_ends(Text(view.why if view.is_ready else NOT_YET, QUIET), time, room)
