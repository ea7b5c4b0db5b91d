"""Lays out a prompt's view for a terminal: centred, fitted to its size, covered parts in bold yellow.

What must be seen (title, rule, keys, time) always is. In a small terminal blank rows are left out first, then the
middle of long values, then the facts that tell least, then news and why it is asked.
"""

import itertools
from collections.abc import Iterable, Iterator

from rich.text import Text

from tinysnitch.view.edit_view import EditView
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import KeyHint, PromptView
from tinysnitch.view.span import Line, Span, Weight, fit_spans, format_time_left, text_of
from tinysnitch.view.text import (
    ELLIPSIS,
    cell_width,
    escape_text,
    shorten_end,
    shorten_middle,
    wrap_columns,
    wrap_shortened,
)

YELLOW = "#ffd034"  # Textual makes orange of ANSI yellow, which a terminal of 16 colours then shows as red
COVERED = f"bold {YELLOW}"
COVERED_QUIET = YELLOW
QUIET = "dim"
_STYLES = {Weight.STRONG: "bold", Weight.QUIET: QUIET}
NOT_YET = "keys do not count yet"
HELP_END = "any key goes back; Ctrl-Z stops the prompt, `fg` goes on"
GAP, SMALL_GAP = 3, 2  # columns between keys
ROOMY = 20  # rows from which on blank rows separate the blocks
WIDE = 60  # columns from which on the help shows its headings
MAX_NEWS_ROWS = 3
LEAST_NEEDED = ("l", "S-Tab", "Tab", "Esc", "q")  # keys left out of a small screen, in this order: the help has them
MAX_WIDTH = 100  # columns; longer lines are hard to read
LABEL_WIDTH = 10
MAX_RULE_ROWS, MAX_WIDER_ROWS = 4, 2
MAX_WARNING_ROWS = 3
MAX_FACT_ROWS = 4
MAX_MORE_ROWS = 5  # rows for the rules of further questions
MIN_FACT_ROWS = 4  # rows for facts that stay beside those rules
LEAST_TELLING = ("direction", "sha256", "parents", "belongs to", "package", "path")  # left out first, in this order
FAULT = WARNING = "bold red"
CURSOR = "reverse"


def render_prompt(view: PromptView, width: int, height: int) -> Text:
    """The whole screen, in at most `height` rows."""
    room = max(1, min(width - 2, MAX_WIDTH))
    if not view.is_question:
        return _centre(_waiting_rows(view, room, height), width, height)
    blank = [Text()] if height >= ROOMY else []
    below = [*blank, *_rows_below(view, room, height - 1 - 2 * len(blank))]
    above = _rows_above(view, room, height - len(below))
    facts = _fact_rows(view, room, height - len(above) - len(below))
    if height - len(above) - len(facts) - len(below) >= 2:
        above, below = [*above, Text()], [Text(), *below]
    return _centre([*above, *facts, *below], width, height)


def _waiting_rows(view: PromptView, room: int, height: int) -> list[Text]:
    keys = _flow(_pieces(view.hints[0], is_ready=True), room, GAP)
    rows = [_join(fit_spans(view.sentence, room), "bold")]
    for warning in view.warnings:
        rows += [Text(), *_told_rows(f"! {warning}", room, MAX_WARNING_ROWS, WARNING)]
    if view.notice:
        rows += [Text(), *_told_rows(view.notice, room, MAX_NEWS_ROWS)]
    if view.edit:
        spare = height - sum(bool(row.plain) for row in rows) - len(keys)
        rows += [Text(), *_edit_rows(view.edit, room, spare)]
    return [*rows, Text(), *keys]


def _told_rows(text: str, room: int, height: int, style: str = QUIET) -> list[Text]:
    return [Text(line, style) for line in wrap_shortened(text, room, height)]


def _rows_above(view: PromptView, room: int, height: int) -> list[Text]:
    """The title, which is always there, and as room allows warnings, why it is asked, and news."""
    title = _join(fit_spans(view.sentence, room), "bold")
    warnings = _warning_rows(view.warnings, room, min(max(0, height - 1), max(MAX_WARNING_ROWS, height // 4)))
    spare = height - 1 - len(warnings)
    top = _top_rows(view, room)[: max(0, spare)]
    spare -= len(top)
    blank = [Text()] if height >= ROOMY // 2 else []
    return [*top, *_news_rows(view, room, spare - len(blank)), *blank, title, *warnings]


def _news_rows(view: PromptView, room: int, spare: int) -> list[Text]:
    """What became of the last question: it may take one row from the facts of this question, and more only of rows that
    are spare."""
    if not view.notice or spare < MAX_NEWS_ROWS:
        return []
    wanted = len(_fact_rows(view, room, MAX_FACT_ROWS * len(view.lines)))
    return _told_rows(view.notice, room, max(1, min(MAX_NEWS_ROWS, spare // 3, spare - wanted)))


def _top_rows(view: PromptView, room: int) -> list[Text]:
    """Why it is asked and how many questions wait: at the two ends of one row, or in two rows."""
    if cell_width(view.why) + cell_width(view.waiting) + 2 <= room:
        return [Text().append(view.why.ljust(room - cell_width(view.waiting)), QUIET).append(view.waiting, "bold")]
    return [Text(shorten_end(view.why, room), QUIET), Text(shorten_end(view.waiting, room), "bold")]


def _warning_rows(warnings: tuple[str, ...], room: int, height: int) -> list[Text]:
    """Warnings, as many in a row as fit; the last row counts those that have no room."""
    rows: list[list[str]] = []
    for warning in (f"! {shorten_middle(warning, room - 2)}" for warning in warnings):
        if rows and cell_width("   ".join([*rows[-1], warning])) <= room:
            rows[-1].append(warning)
        else:
            rows.append([warning])
    if 0 < height < len(rows):
        first, *others = (warning for row in rows[height - 1 :] for warning in row)
        counted = f"   and {len(others)} more"
        rows[height - 1] = [f"{shorten_middle(first, room - len(counted))}{counted}"]
    return [Text("   ".join(row), WARNING) for row in rows[:height]]


def _rows_below(view: PromptView, room: int, height: int) -> list[Text]:
    """The rule, keys and time."""
    least = 3 if view.edit or view.wider else 2  # rows that the rule gets at least
    keys = _key_rows(view, room, height - least - 2)  # 2: one row for the time, one for why it is asked
    keys = keys[: max(1, height - least - 1)]  # what is cut off here is in the help
    blank = [Text()] if height >= ROOMY // 2 else []
    rest = [*blank, *keys, _time_row(view, room)]
    spare = max(least, height - len(rest) - 1)
    if view.edit:
        return [*_edit_rows(view.edit, room, spare), *rest]
    if view.together:
        return [*_together_rows(view, room, spare - MIN_FACT_ROWS), *rest]
    wider = _told_rows(view.wider, room, min(MAX_WIDER_ROWS, spare // 3), WARNING) if view.wider else []
    most = (spare - len(wider)) // (2 if view.denied else 1)
    rules = [row for rule in view.rules for row in _rule_rows(rule, room, most)]
    return [*rules, *wider, *rest]


def _key_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """One or more rows for each group of keys. If these are too many, all keys follow each other, and if need be
    without those that are needed least."""
    first, *others = ([hint for hint in hints if view.edit or not hint.is_dead] for hints in view.hints)
    lifetime = Text(shorten_end(view.lifetime, room), COVERED)
    groups = [[*_pieces(first, view.is_ready), lifetime], *(_pieces(hints, view.is_ready) for hints in others)]
    rows = [row for pieces in groups for row in _flow(pieces, room, GAP)]
    for count in range(len(LEAST_NEEDED) + 1):
        if len(rows) <= height:
            break
        left_out = LEAST_NEEDED[:count]
        kept = [hint for hints in others for hint in hints if hint.label not in left_out]
        rows = _flow([*groups[0], *_pieces(kept, view.is_ready)], room, SMALL_GAP)
    return rows


def _pieces(hints: Iterable[KeyHint], is_ready: bool) -> list[Text]:
    """Keys in reverse video, what is chosen in yellow; all of it dim while keys do not count."""
    pieces = []
    for hint in hints:
        style = "" if is_ready and not hint.is_dead else QUIET
        label = Text(hint.label, style or "reverse")
        pieces.append(Text.assemble(label, (f" {hint.text}", COVERED if hint.is_on else style)))
    return pieces


def _flow(pieces: list[Text], room: int, gap: int) -> list[Text]:
    """Rows of whole pieces, as many in a row as fit."""
    rows: list[Text] = []
    for piece in pieces:
        if rows and rows[-1].cell_len + gap + piece.cell_len <= room:
            rows[-1] = Text.assemble(rows[-1], " " * gap, piece)
        else:
            rows.append(piece)
    return rows


def _together_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """A row for each rule that will be written; if there are too many, the last row counts the rest."""
    rules = (view.rule, *view.more_rules)
    most = max(1, min(MAX_MORE_ROWS + 1, height - 1))
    fitting = len(rules) if len(rules) <= most else max(1, most - 1)
    rows = [_join(_fit_listed(rule, room)) for rule in rules[:fitting]]
    if fitting < len(rules) and most > 1:
        rows.append(Text(f"and {len(rules) - fitting} more", QUIET))
    return [Text(shorten_end(view.together, room), "bold"), *_align(rows, max(row.cell_len for row in rows))]


def _fit_listed(rule: tuple[Span, ...], room: int) -> tuple[Span, ...]:
    """The rule in one row. Its time gives way first: all rows have the same, and the keys say how long they hold."""
    if cell_width(text_of(rule)) > room:
        rule = tuple(Span(ELLIPSIS) if span.text.startswith("until=") else span for span in rule)
    return fit_spans(rule, room)


def _edit_rows(edit: EditView, room: int, height: int) -> list[Text]:
    """As much of the edited line as fits, with its cursor; below it the fault and the hint."""
    text = Text(edit.text)
    if edit.fault:
        text.stylize(FAULT, edit.column - 1)
    text.stylize(CURSOR, len(edit.before), len(edit.before) + len(edit.at))
    rows, ends = _break_rows(text, room)
    at = next((index for index, end in enumerate(ends) if len(edit.before) < end), len(rows) - 1)
    most = max(1, min(MAX_RULE_ROWS, height - 2))
    first = max(0, min(at - most // 2, len(rows) - most))
    shown = rows[first : first + most]
    part = f"rows {first + 1} to {first + len(shown)} of {len(rows)}" if len(shown) < len(rows) else ""
    told = [Text(shorten_end(edit.fault, room), FAULT), Text(shorten_end(edit.hint or part, room), QUIET)]
    return [*_align(shown, max(row.cell_len for row in shown)), *told]


def _fact_rows(view: PromptView, room: int, height: int) -> list[Text]:
    """A row for each fact; long facts take more, if the screen has rows to spare."""
    spare = max(0, height - len(view.lines))
    rows: list[Text] = []
    for line in _most_telling(view.lines, height):
        taken = _fact_block(line, room, min(MAX_FACT_ROWS, 1 + spare))
        spare -= len(taken) - 1
        rows += taken
    return rows[: max(height, 0)]


def _most_telling(lines: tuple[Line, ...], height: int) -> list[Line]:
    """At most `height` facts. Those that the screen shows elsewhere, too, or that tell least are left out first."""
    kept = list(lines)
    for label in LEAST_TELLING:
        if len(kept) > height:
            kept = [line for line in kept if line.label != label]
    return kept


def _fact_block(line: Line, room: int, height: int) -> list[Text]:
    width = max(1, room - LABEL_WIDTH - 2)
    values = _wrap(line.spans, width, height)
    rows: list[Text] = []
    for label, value in zip([line.label, *[""] * len(values)], values, strict=False):
        rows.append(Text().append(f"{label:>{LABEL_WIDTH}}  ", QUIET).append_text(value))
    return _align(rows, room)


def _rule_rows(rule: tuple[Span, ...], room: int, height: int) -> list[Text]:
    """The rule line, in a few rows; of a very long one the longest words are cut in their middle."""
    most = min(MAX_RULE_ROWS, height)
    rows = _wrap(rule, room, most)
    return _align(rows, max(row.cell_len for row in rows))


def _tried_cells(width: int, height: int) -> Iterator[int]:
    """Numbers of cells to try: from all that the rows have, down to what surely fits, even if each row but the last
    breaks at a blank and stays half empty."""
    surely = width * height - (height - 1) * width // 2
    yield from range(width * height, surely, -max(1, width // 3))
    yield surely


def _wrap(spans: tuple[Span, ...], width: int, height: int) -> list[Text]:
    """The spans in at most `height` rows. If they do not fit, the longest are cut in their middle, by as little as need
    be."""
    rows: list[Text] = []
    for cells in _tried_cells(width, height):
        rows, _ends = _break_rows(_join(fit_spans(spans, cells)), width)
        if len(rows) <= height:
            break
    return rows[:height]


def _break_rows(text: Text, width: int) -> tuple[list[Text], list[int]]:
    """The rows of a text, and the index where each row but the last ends."""
    ends = list(itertools.accumulate(map(len, wrap_columns(text.plain, width))))[:-1]
    return list(text.divide(ends)), ends


def _align(rows: list[Text], width: int) -> list[Text]:
    """The rows, made equally wide, so that they begin in the same column when they are centred."""
    for row in rows:
        row.pad_right(max(0, width - row.cell_len))
    return rows


def _join(spans: tuple[Span, ...], plain: str = "") -> Text:
    """The spans as one text; `plain` is the style of what has no weight."""
    text = Text()
    for style, alike in itertools.groupby(spans, lambda span: _style_of(span) or plain):
        text.append("".join(span.text for span in alike), style)
    return text


def _style_of(span: Span) -> str:
    """What the rule covers is yellow. A quiet part is never bold, so that names differ without colours, too."""
    if span.is_covered:
        return COVERED_QUIET if span.weight is Weight.QUIET else COVERED
    return _STYLES.get(span.weight, "")


def _time_row(view: PromptView, room: int) -> Text:
    """The bar of the time that is left; or NOT_YET in words, since on some terminals dim text looks like any other."""
    number = f" {format_time_left(view.seconds_left)}, then deny"
    width = max(0, room - len(number))
    if not view.is_ready:
        return Text().append(shorten_end(NOT_YET, width).ljust(width), QUIET).append(number, "bold")
    filled = round(view.fraction_left * width)
    return Text().append("█" * filled, YELLOW).append("─" * (width - filled), QUIET).append(number, "bold")


def render_help(
    title: str, rows: tuple[HelpRow, ...], width: int, height: int, *, view: PromptView, page: int = 0
) -> Text:
    """The page of `h` or `l`, and below it the time that is left for the question in sight."""
    room = max(1, min(width - 2, MAX_WIDTH))
    time = _time_rows(view, room)
    pages = _help_pages(rows, room, height - len(time) - 2)
    count = len(pages)
    back = f"page {page + 1} of {count}: any key goes on, Esc back" if page + 1 < count else HELP_END
    head, foot = Text(title, "bold"), Text(shorten_end(back, room), QUIET)
    blank = [Text()] if count == 1 else []
    table = _fit_rows([head, *blank, *pages[min(page, count - 1)], *blank, foot], max(0, height - len(time)))
    return _centre([*table, *time], width, height)


def count_help_pages(rows: tuple[HelpRow, ...], width: int, height: int, view: PromptView) -> int:
    room = max(1, min(width - 2, MAX_WIDTH))
    return len(_help_pages(rows, room, height - len(_time_rows(view, room)) - 2))


def _time_rows(view: PromptView, room: int) -> list[Text]:
    return [_time_row(view, room)] if view.is_question else []


def _help_pages(rows: tuple[HelpRow, ...], room: int, height: int) -> list[list[Text]]:
    """The rows of the help, in pages that fit between the title and the last line."""
    heading_width = max(cell_width(row.heading) for row in rows) if room >= WIDE else 0
    word_width = max(cell_width(row.word) for row in rows)
    lines = [line for row in rows for line in _help_lines(row, heading_width, word_width, room)]
    _align(lines, max(line.cell_len for line in lines))
    most = max(1, height)
    return [lines[start : start + most] for start in range(0, len(lines), most)]


def _help_lines(row: HelpRow, heading_width: int, word_width: int, room: int) -> Iterator[Text]:
    """The rows of one word, with its meaning wrapped beside it."""
    margin = word_width + 2 + (heading_width + 2 if heading_width else 0)
    first, *others = wrap_columns(escape_text(row.meaning), max(1, room - margin))
    line = Text().append(f"{row.heading:>{heading_width}}  " if heading_width else "", QUIET)
    yield line.append(f"{row.word:>{word_width}}", COVERED).append(f"  {first}")
    yield from (Text(f"{' ' * margin}{other}") for other in others)


def _fit_rows(rows: list[Text], height: int) -> list[Text]:
    """At most `height` rows: if there are more, blank rows are left out, then the last ones."""
    return rows if len(rows) <= height else [row for row in rows if row.plain][:height]


def _centre(rows: list[Text], width: int, height: int) -> Text:
    """The rows, centred on the screen horizontally and vertically."""
    rows = _fit_rows(rows, height)
    screen = [Text() for _ in range((height - len(rows)) // 2)]
    for row in rows:
        if outside := _count_outside(row.plain, width):
            row.right_crop(outside)
        row.pad_left(max(0, (width - max(row.cell_len, cell_width(row.plain))) // 2))
        screen.append(row)
    return Text("\n").join(screen)


def _count_outside(text: str, width: int) -> int:
    """How many characters at the end of a row are beyond the width. Counted here, since Rich counts no column for some
    characters that take one or two on a terminal."""
    return next(over for over in range(len(text) + 1) if cell_width(text[: len(text) - over]) <= width)
