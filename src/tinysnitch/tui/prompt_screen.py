"""A prompt's view laid out for a terminal: centred, fitted to its size, covered parts in bold yellow.

What must be seen (title, rule, keys, time) keeps its place; in a small terminal blank rows go first, then
long values are cut in the middle, then the facts that tell least.
"""

import itertools

from rich.text import Text

from tinysnitch.view.edit_view import EditView
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import KeyHint, PromptView
from tinysnitch.view.segment import Line, Segment
from tinysnitch.view.segment_fit import fit_segments
from tinysnitch.view.text import cell_width, escape_text, shorten_middle, wrap_columns

YELLOW = "#ffd034"  # the ANSI one is orange in Textual, and from there red on a terminal of 16 colours
COVERED = f"bold {YELLOW}"
QUIET = "dim"
MAX_WIDTH = 100  # columns; longer lines are hard to read
LABEL_WIDTH = 10
MAX_RULE_ROWS = 4
MAX_WARNING_ROWS = 3
MAX_FACT_ROWS = 4
MAX_MORE_ROWS = 5  # of the rules for further questions
MIN_FACT_ROWS = 4  # that stay in sight beside them
LEAST_TELLING = ("direction", "sha256", "parents", "belongs to", "package", "path")  # from the least on
FAULT = "bold red"
CURSOR = "reverse"


def render_prompt(view: PromptView, width: int, height: int) -> Text:
    """The whole screen, as `height` rows at most."""
    room = max(1, min(width - 2, MAX_WIDTH))
    if not view.is_question:
        return _centre([*_waiting_rows(view, room)], width, height)
    above = _rows_above(view, room)
    below = _rows_below(view, room, height - len(above) - MIN_FACT_ROWS)
    facts = _fact_rows(view, room, height - len(above) - len(below))
    spare = height - len(above) - len(facts) - len(below)
    if spare >= 3:
        above, below = [*above, Text()], [Text(), *below]
    return _centre([*above, *facts, *below], width, height)


def _waiting_rows(view: PromptView, room: int) -> list[Text]:
    rows = [Text(shorten_middle(view.title, room), "bold")]
    if view.notice:
        rows += [Text(), *(Text(line, QUIET) for line in wrap_columns(view.notice, room))]
    if view.edit:
        rows += [Text(), *_edit_rows(view.edit, room)]
    return [*rows, Text(), *(_hint_row(hints, is_ready=True) for hints in view.hints)]


def _rows_above(view: PromptView, room: int) -> list[Text]:
    news = view.notice or f"asked because {view.reason}"
    news = shorten_middle(news, max(0, room - cell_width(view.waiting) - 2))
    top = Text().append(news.ljust(room - cell_width(view.waiting)), QUIET).append(view.waiting, "bold")
    title = Text(shorten_middle(view.title, room), "bold")
    return [top, Text(), title, *_warning_rows(view.warnings, room)]


def _warning_rows(warnings: tuple[str, ...], room: int) -> list[Text]:
    """As many to a row as fit."""
    rows: list[str] = []
    for warning in (f"! {shorten_middle(warning, room - 2)}" for warning in warnings):
        if rows and cell_width(rows[-1]) + cell_width(warning) + 3 <= room:
            rows[-1] += f"   {warning}"
        else:
            rows.append(warning)
    return [Text(row, "bold red") for row in rows[:MAX_WARNING_ROWS]]


def _rows_below(view: PromptView, room: int, height: int) -> list[Text]:
    answers, *others = view.hints
    answer = _hint_row(answers, view.is_ready)
    answer.append(f"   {shorten_middle(view.lifetime, room - answer.cell_len - 3)}", COVERED)
    keys = [Text(), answer, *(_hint_row(hints, view.is_ready) for hints in others), _time_row(view, room)]
    if view.edit:
        return [*_edit_rows(view.edit, room), *keys]
    if view.together:
        return [*_together_rows(view, room, height - len(keys)), *keys]
    return [*_rule_rows(view.rule, room), *keys]


def _together_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """A row for each rule that will be written; with too many, the last row counts the rest."""
    rules = (view.rule, *view.more_rules)
    most = max(1, min(MAX_MORE_ROWS + 1, height - 1))
    fitting = len(rules) if len(rules) <= most else most - 1
    rows = [_join(fit_segments(rule, room)) for rule in rules[:fitting]]
    if fitting < len(rules):
        rows.append(Text(f"and {len(rules) - fitting} more", QUIET))
    return [Text(view.together, "bold"), *_align(rows, max(row.cell_len for row in rows))]


def _edit_rows(edit: EditView, room: int) -> list[Text]:
    """The line with its cursor, as much of it as fits, and two rows for what is wrong with it."""
    text = Text(edit.text)
    if edit.fault:
        text.stylize(FAULT, edit.column - 1)
    text.stylize(CURSOR, len(edit.before), len(edit.before) + len(edit.at))
    rows, ends = _break_rows(text, room)
    at = next((index for index, end in enumerate(ends) if len(edit.before) < end), len(rows) - 1)
    first = max(0, min(at - MAX_RULE_ROWS // 2, len(rows) - MAX_RULE_ROWS))
    shown = rows[first : first + MAX_RULE_ROWS]
    told = [Text(shorten_middle(edit.fault, room), FAULT), Text(shorten_middle(edit.hint, room), QUIET)]
    return [*_align(shown, max(row.cell_len for row in shown)), *told]


def _fact_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """A row for each fact; where the screen has rows to spare, long ones take more."""
    spare = max(0, height - len(view.lines) - 2)
    rows: list[Text] = []
    for line in _most_telling(view.lines, height):
        taken = _fact_block(line, room, min(MAX_FACT_ROWS, 1 + spare))
        spare -= len(taken) - 1
        rows += taken
    return rows[: max(height, 1)]


def _most_telling(lines: tuple[Line, ...], height: int) -> list[Line]:
    """So many facts, those left out that other parts of the screen say too, or that say least."""
    kept = list(lines)
    for label in LEAST_TELLING:
        if len(kept) > height:
            kept = [line for line in kept if line.label != label]
    return kept


def _fact_block(line: Line, room: int, height: int) -> list[Text]:
    width = max(1, room - LABEL_WIDTH - 2)
    values = _wrap(fit_segments(line.segments, _cells(width, height)), width, height)
    rows: list[Text] = []
    for label, value in zip([line.label, *[""] * len(values)], values, strict=False):
        rows.append(Text().append(f"{label:>{LABEL_WIDTH}}  ", QUIET).append_text(value))
    return _align(rows, room)


def _rule_rows(rule: tuple[Segment, ...], room: int) -> list[Text]:
    """The rule line over a few rows; a very long one is cut in the middle of its longest word."""
    fitted = fit_segments(rule, _cells(room, MAX_RULE_ROWS))
    rows = _wrap(fitted, room, MAX_RULE_ROWS)
    return _align(rows, max(row.cell_len for row in rows))


def _cells(width: int, height: int) -> int:
    """What surely fits into rows that break at blanks: half of each but the last may stay empty."""
    return width * height - (height - 1) * width // 2


def _wrap(segments: tuple[Segment, ...], width: int, height: int) -> list[Text]:
    return _break_rows(_join(segments), width)[0][:height]


def _break_rows(text: Text, width: int) -> tuple[list[Text], list[int]]:
    """The rows of a text, and where each but the last ends."""
    ends = list(itertools.accumulate(map(len, wrap_columns(text.plain, width))))[:-1]
    return list(text.divide(ends)), ends


def _align(rows: list[Text], width: int) -> list[Text]:
    """Rows of one width, so that they begin in one column when they are centred."""
    for row in rows:
        row.pad_right(max(0, width - row.cell_len))
    return rows


def _join(segments: tuple[Segment, ...]) -> Text:
    text = Text()
    for segment in segments:
        text.append(segment.text, COVERED if segment.is_covered else "")
    return text


def _hint_row(hints: tuple[KeyHint, ...], is_ready: bool) -> Text:
    """Keys in reverse, what is chosen in yellow; all dim while keys do not count yet."""
    row = Text()
    for hint in hints:
        row.append("   " if row else "").append(hint.label, "reverse" if is_ready else QUIET)
        row.append(f" {hint.text}", COVERED if hint.is_on else "" if is_ready else QUIET)
    return row


def _time_row(view: PromptView, room: int) -> Text:
    number = f" {view.seconds_left} s, then deny"
    width = max(0, room - len(number))
    filled = round(view.fraction_left * width)
    return Text().append("█" * filled, YELLOW).append("─" * (width - filled), QUIET).append(number, "bold")


def render_help(title: str, rows: tuple[HelpRow, ...], width: int, height: int, *, view: PromptView) -> Text:
    """The page behind `h` or `l`; below it the time of the question that waits behind it."""
    lines = [Text(title, "bold"), Text()]
    heading_width = max(cell_width(row.heading) for row in rows)
    word_width = max(cell_width(row.word) for row in rows)
    for row in rows:
        line = Text().append(f"{row.heading:>{heading_width}}  " if heading_width else "", QUIET)
        line.append(f"{row.word:>{word_width}}", COVERED).append(f"  {escape_text(row.meaning)}")
        lines.append(line)
    table_width = max(line.cell_len for line in lines)
    _align(lines[2:], table_width)
    time = [_time_row(view, max(1, min(width - 2, MAX_WIDTH)))] if view.is_question else []
    page = _fit_rows([*lines, Text(), Text("any key goes back", QUIET)], max(0, height - len(time)))
    return _centre([*page, *time], width, height)


def _fit_rows(rows: list[Text], height: int) -> list[Text]:
    """Blank rows go first, then the last ones."""
    return rows if len(rows) <= height else [row for row in rows if row.plain][:height]


def _centre(rows: list[Text], width: int, height: int) -> Text:
    """Rows in the middle of the screen, both ways."""
    rows = _fit_rows(rows, height)
    screen = [Text() for _ in range((height - len(rows)) // 2)]
    for row in rows:
        row.truncate(width)
        row.pad_left(max(0, (width - row.cell_len) // 2))
        screen.append(row)
    return Text("\n").join(screen)
