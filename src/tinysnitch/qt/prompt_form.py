"""The widgets of a question: sentence, who and where, warnings, rule, keys and time, from a `PromptView`.

1. Widgets are kept from one view to the next, and only what differs is changed: a button that is being pressed stays,
   and a screen reader does not lose its place.
2. Text of programs and servers goes into a `SpanLabel`, which takes it for plain text, or into the `LineField`.
3. With `rows` of a `Look` the facts become shorter. Sentence, rule, keys and time are never left out.
"""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLayout, QVBoxLayout, QWidget

from tinysnitch.qt.group_panel import GroupPanel
from tinysnitch.qt.key_button import KeyButton, KeyRows
from tinysnitch.qt.line_field import LineField
from tinysnitch.qt.panel import Panel, take
from tinysnitch.qt.program_icon import ProgramIcon
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.qt.theme import Look
from tinysnitch.view.prompt_view import PromptView
from tinysnitch.view.span import Line, Span, format_time_left

TITLE_SCALE = 1.6
TITLE_ROWS = 3
RULE_ROWS = 4
NEWS_ROWS = 3


class Facts(Panel):
    """Labels in one column, and what they tell in another."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent, name)
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self.column.addLayout(self._grid)
        self.column.addStretch(1)
        self._rows: list[SpanLabel] = []

    def show_lines(self, lines: tuple[Line, ...], look: Look) -> None:
        self.show_look(look)
        self.setVisible(bool(lines))
        self._grid.setHorizontalSpacing(look.px(0.7))
        self._grid.setVerticalSpacing(look.px(0.15))
        labels = take(self._rows, 2 * len(lines), self._make_label)
        for line, label, value in zip(lines, labels[::2], labels[1::2], strict=True):
            label.show_text(line.label, look.style(look.theme.quiet, 0.9))
            label.setMinimumWidth(label.sizeHint().width())
            value.show_spans(line.spans, look.style(scale=0.9, is_fixed=True), look.rows)
            label.setBuddy(value)

    def _make_label(self) -> SpanLabel:
        row, column = divmod(len(self._rows), 2)
        label = SpanLabel(self)
        self._grid.addWidget(label, row, column, Qt.AlignmentFlag.AlignTop if column == 0 else Qt.AlignmentFlag(0))
        return label


class PromptForm(QWidget):
    def __init__(self, parent: QWidget, make_button: Callable[[QWidget], KeyButton]) -> None:
        super().__init__(parent)
        self._make_button = make_button
        self._icon = ProgramIcon(self)
        self._title, self._why, self._news = (SpanLabel(self) for _ in range(3))
        self._warnings, self._warning_rows = Panel(self, "warnings"), list[SpanLabel]()
        self._who, self._where = Facts(self, "who"), Facts(self, "where")
        self._rule, self._rule_caption = Panel(self, "rule"), SpanLabel()
        self._allowed, self._denied, self.list = SpanLabel(), SpanLabel(), GroupPanel(self)
        self.field, self._fault, self._hint = LineField(), SpanLabel(), SpanLabel()
        self._answers, self._keys = QWidget(self), KeyRows(self)
        self._answer_buttons: list[KeyButton] = []
        self._key_buttons: list[KeyButton] = []
        self._time = SpanLabel(self)
        self._lay_out()

    def _lay_out(self) -> None:
        self._column, self._answer_row = QVBoxLayout(self), QHBoxLayout(self._answers)
        self._head, self._blocks, self._foot = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        self._blocks.addWidget(self._who, 3)
        self._blocks.addWidget(self._where, 2)
        for widget in (self._rule_caption, self._allowed, self._denied, self.field, self._fault, self._hint):
            self._rule.column.addWidget(widget)
        self._answer_row.setContentsMargins(0, 0, 0, 0)
        titles = QVBoxLayout()
        titles.addWidget(self._title)
        titles.addWidget(self._why)
        titles.addStretch(1)
        self._head.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        self._head.addLayout(titles, 1)
        self._foot.addWidget(self._keys, 1)
        self._foot.addWidget(self._time, 0, Qt.AlignmentFlag.AlignBottom)
        above = (self._head, self._news, self._warnings, self._blocks, self.list)
        for part in (*above, None, self._rule, self._answers, self._foot):
            if isinstance(part, QLayout):
                self._column.addLayout(part)
            elif part:
                self._column.addWidget(part)
            else:
                self._column.addStretch(1)

    def height_for(self, width: int) -> int:
        """How high what is shown must be at this width."""
        for part in (self._warnings, self._who, self._where, self.list, self._rule, self._answers):
            if layout := part.layout():
                layout.activate()  # else the column would know of their changes only once Qt handles its events
        self._column.activate()
        return self._column.totalHeightForWidth(width)

    def show_view(self, view: PromptView, look: Look) -> None:
        theme = look.theme
        self._column.setContentsMargins(look.px(1.2), look.px(1.1), look.px(1.2), look.px(0.9))
        self._column.setSpacing(look.px(0.75))
        for row in (self._blocks, self._answer_row, self._head, self._foot):
            row.setSpacing(look.px(0.75))
        self._icon.setVisible(view.is_question)
        self._icon.show_icon(view.icon, look)
        self._title.show_spans(view.sentence, look.style(scale=TITLE_SCALE), TITLE_ROWS)
        asked = view.why if view.is_alone or not view.waiting else f"{view.waiting}; {view.why}"
        _show_or_hide(self._why, asked, look, 2)
        _show_or_hide(self._news, view.notice, look, NEWS_ROWS)
        self._show_warnings(view.warnings, look)
        self._who.show_lines(view.who, look)
        self._where.show_lines((*view.where, *view.past), look)
        self.list.show_group(view.group, look)
        self._rule.setVisible(bool(view.rule or view.edit))
        self._show_edit(view, look) if view.edit else self._show_rules(view, look)
        self._show_keys(view, look)
        self._time.setVisible(view.is_question)
        time_left = f"{format_time_left(view.seconds_left)}, then deny"
        color = theme.warning if view.is_urgent else theme.quiet
        self._time.show_text(time_left, look.style(color, 0.9, is_bold=view.is_urgent, is_right=True))
        self._time.setMinimumWidth(self._time.sizeHint().width())
        self._time.setMinimumHeight(look.px(1.45))

    def _show_warnings(self, warnings: tuple[str, ...], look: Look) -> None:
        self._warnings.show_look(look, is_warning=True)
        self._warnings.setVisible(bool(warnings))
        rows = take(self._warning_rows, len(warnings), self._make_warning)
        for label, warning in zip(rows, warnings, strict=True):
            label.show_text(f"! {warning}", look.style(look.theme.warning, is_bold=True), 2)
            label.setAccessibleName(f"warning: {warning}")

    def _show_rules(self, view: PromptView, look: Look) -> None:
        self.field.hide()
        self._fault.hide()
        one = "the rule that y writes" if view.is_rule_kept else "what y allows"
        one = "the rules that y and n write" if view.denied else one
        caption = f"y answers {view.together}, each with one like this" if view.group else one
        self._rule.show_look(look)
        self._rule_caption.show_text(caption, look.style(look.theme.quiet, 0.9), 2)
        for label, rule in ((self._allowed, view.rule), (self._denied, view.denied)):
            label.show_spans(rule, look.style(is_fixed=True), RULE_ROWS)
            label.setVisible(bool(rule))
        self._hint.show_text(view.wider, look.style(look.theme.warning, 0.9), 2)
        self._hint.setVisible(bool(view.wider))

    def _show_edit(self, view: PromptView, look: Look) -> None:
        """The edited line, and below it fault and hint."""
        edit = view.edit
        assert edit
        self._allowed.hide()
        self._denied.hide()
        self._rule.show_look(look)
        self._rule_caption.show_text("edit the rule", look.style(look.theme.quiet, 0.9))
        self.field.show()
        self.field.show_edit(edit, look, is_lost=not view.is_question)
        color = look.theme.warning if edit.fault else look.theme.covered
        self._fault.show_text(edit.fault or edit.lifetime or " ", look.style(color), 2)
        self._fault.show()
        self._hint.show_text(edit.hint or " ", look.style(look.theme.quiet, 0.9), 2)
        self._hint.show()

    def _show_keys(self, view: PromptView, look: Look) -> None:
        is_ready = view.is_ready or not view.is_question
        hints = tuple(hint for row in view.everyday for hint in row)
        answers, others = [one for one in hints if one.verdict], [one for one in hints if not one.verdict]
        self._answers.setVisible(bool(answers))
        for button, hint in zip(take(self._answer_buttons, len(answers), self._make_answer), answers, strict=True):
            button.show_hint(hint, look, is_ready)
        buttons = take(self._key_buttons, len(others), lambda: self._make_button(self._keys))
        for button, hint in zip(buttons, others, strict=True):
            button.show_hint(hint, look, is_ready)
        self._keys.show_buttons(buttons, look.px(0.4))

    def _make_warning(self) -> SpanLabel:
        label = SpanLabel(self._warnings)
        self._warnings.column.addWidget(label)
        return label

    def _make_answer(self) -> KeyButton:
        button = self._make_button(self._answers)
        self._answer_row.addWidget(button, 1)
        return button


def _show_or_hide(label: SpanLabel, text: str, look: Look, rows: int) -> None:
    label.show_spans((Span(text),), look.style(look.theme.quiet, 0.9), rows)
    label.setVisible(bool(text))
