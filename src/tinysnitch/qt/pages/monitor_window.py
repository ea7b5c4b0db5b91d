"""The window of the pages. It shows what it is given, and emits which keys were pressed or clicked. It decides nothing.

Keys go to the page as in a terminal; the table takes none itself. A click selects a row, a double click does what Enter
does, and each key that is shown is a button.
"""

import time

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QFontInfo, QFontMetrics, QGuiApplication, QHideEvent, QIcon, QKeyEvent, QKeySequence, QPalette
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QVBoxLayout, QWidget

from tinysnitch.protocol.messages import Theme
from tinysnitch.qt.key_button import KeyButton, KeyRows
from tinysnitch.qt.keyboard import name_of_key, typed_at
from tinysnitch.qt.line_field import LineField
from tinysnitch.qt.pages.page_table import PageTable
from tinysnitch.qt.pages.table_model import TableModel
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.qt.theme import Look, find_theme
from tinysnitch.view.pages.tabs import Tab
from tinysnitch.view.prompt_view import KeyHint
from tinysnitch.view.span import Span, Weight

SIZE = QSize(80, 44)  # of the window when it opens, in sizes of the type
MOST_FACTS = 14
FACT_ROWS = 3
MOST_MEASURED = 200  # rows by whose cells columns are made wide enough
MOST_WIDTH = 30.0  # of a column, in sizes of the type
# Of columns whose numbers change while one looks, by their titles, in sizes of the type.
_WIDTHS = {"in/s": 4.2, "out/s": 4.2, "in": 4.2, "out": 4.2, "connections": 7.2, "last 5 min": 12.0, "verdict": 5.0}


class MonitorWindow(QWidget):
    pressed = Signal(str, str, float)  # the key's name, the character that it types, and when
    clicked = Signal(str, float)  # the name of the key whose button, or row, was clicked, and when
    pasted = Signal(str)
    edited = Signal(str, int)  # the edited line was changed by other means than keys
    hidden = Signal()

    def __init__(self, theme: Theme = Theme.AUTO) -> None:
        super().__init__()
        self._theme = theme
        self._buttons: dict[KeyRows, list[KeyButton]] = {}
        self._tabs, self._keys = KeyRows(self), KeyRows(self)
        self._title, self._notice = SpanLabel(self), SpanLabel(self)
        self._facts = [SpanLabel(self) for _ in range(MOST_FACTS)]
        self.model, self.table = TableModel(self), QTableView(self)
        self._field = LineField(self)
        self._field.changed.connect(self.edited)
        self._set_up_table()
        layout = QVBoxLayout(self)
        for part in (self._tabs, self._title, self.table, *self._facts, self._field, self._notice, self._keys):
            layout.addWidget(part, 1 if part is self.table else 0)
        self.setWindowTitle("tinysnitch")
        self.setWindowIcon(QIcon.fromTheme("security-high"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        em = self._look().em
        self.resize(round(SIZE.width() * em), round(SIZE.height() * em))

    def _set_up_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setWordWrap(False)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setStretchLastSection(True)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.horizontalHeader().setSectionsClickable(True)
        table.horizontalHeader().sectionClicked.connect(self._click_title)
        table.clicked.connect(self._click_row)
        table.doubleClicked.connect(self._enter_row)

    def _look(self) -> Look:
        return Look(find_theme(self._theme), float(QFontInfo(QGuiApplication.font()).pixelSize()), FACT_ROWS)

    # what the agent calls

    def show_page(self, table: PageTable, tabs: tuple[Tab, ...]) -> None:
        look, frame = self._look(), table.frame
        self._paint_ground(look)
        self._show_keys(self._tabs, tuple(KeyHint(tab.label, tab.page.value, is_on=tab.is_on) for tab in tabs), look)
        shown = f"  /{frame.filter}{'▏' if frame.is_filtering else ''}" if frame.filter or frame.is_filtering else ""
        self._title.show_text(f"{frame.title}{shown}", look.style(is_bold=True))
        self._show_table(table, look)
        self._show_facts(table, look)
        self._field.setVisible(frame.edit is not None)
        if frame.edit:
            self._field.show_edit(frame.edit, look, is_lost=False)
        told = [*frame.warnings, *([frame.edit.fault or frame.edit.hint] if frame.edit else []), frame.notice]
        self._notice.show_text(". ".join(filter(None, told)), look.style(look.theme.warning), FACT_ROWS)
        self._notice.setVisible(any(told))
        self._show_keys(self._keys, frame.hints, look)

    def open(self) -> None:
        """Show the window in front, and ask for the keyboard."""
        self.show()
        self.raise_()
        self.activateWindow()

    def _show_table(self, table: PageTable, look: Look) -> None:
        is_other = self.model.titles != table.titles or (self.model.rowCount() == 0 and bool(table.rows))
        self.model.show_table(table, look)
        self.table.setFont(look.font())
        self.table.verticalHeader().setDefaultSectionSize(look.px(1.7))
        if is_other:
            self._fit_columns(table, look)
        at = table.frame.at
        if at is None:
            self.table.clearSelection()
        elif self.table.currentIndex().row() != at or not self.table.selectionModel().hasSelection():
            index = self.model.index(at, 0)
            flags = QItemSelectionModel.SelectionFlag
            self.table.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.table.scrollTo(index)

    def _fit_columns(self, table: PageTable, look: Look) -> None:
        """As wide as what is in them. What is left goes to the last one, or to all if that has numbers, which would
        stand alone at the edge."""
        widths = [self._width_of(table, at, look) for at in range(len(table.titles))]
        left = self.table.viewport().width() - sum(widths)
        if left < 0:
            widest = max(range(len(widths)), key=widths.__getitem__)
            widths[widest] = max(look.px(_WIDTHS["connections"]), widths[widest] + left)
        elif len(table.titles) - 1 in table.numbers:
            widths = [width + left // len(widths) for width in widths]
        for at, width in enumerate(widths):
            self.table.setColumnWidth(at, width)

    def _width_of(self, table: PageTable, at: int, look: Look) -> int:
        metrics, heading = QFontMetrics(look.font()), QFontMetrics(look.font(is_bold=True))
        cells = [metrics.horizontalAdvance(row.cells[at]) for row in table.rows[:MOST_MEASURED]]
        title = table.titles[at]
        measured = max([heading.horizontalAdvance(title), *cells]) + look.px(1.2)
        return min(look.px(MOST_WIDTH), max(look.px(_WIDTHS.get(title, 0.0)), measured))

    def _show_facts(self, table: PageTable, look: Look) -> None:
        facts = table.frame.facts[:MOST_FACTS]
        for at, label in enumerate(self._facts):
            label.setVisible(at < len(facts))
            if at < len(facts):
                named = Span(f"{facts[at].label}: " if facts[at].label else "", weight=Weight.QUIET)
                label.show_spans((named, *facts[at].spans), look.style(), FACT_ROWS)

    def _show_keys(self, rows: KeyRows, hints: tuple[KeyHint, ...], look: Look) -> None:
        buttons = self._buttons.setdefault(rows, [])
        while len(buttons) < len(hints):
            button = KeyButton(rows)
            button.chosen.connect(self.clicked)
            buttons.append(button)
        for at, button in enumerate(buttons):
            button.setVisible(at < len(hints))
            if at < len(hints):
                button.show_hint(hints[at], look, is_ready=True)
        rows.show_buttons(buttons[: len(hints)], look.px(0.4))

    def _paint_ground(self, look: Look) -> None:
        palette, role = QPalette(), QPalette.ColorRole
        for each, color in (
            (role.Window, look.theme.background),
            (role.Base, look.theme.background),
            (role.Text, look.theme.text),
            (role.Button, look.theme.panel),
            (role.ButtonText, look.theme.quiet),
            (role.Highlight, look.theme.key_on),
            (role.HighlightedText, look.theme.text),
        ):
            palette.setColor(each, color)
        if palette != self.palette():
            self.setPalette(palette)

    # what Qt calls

    def _click_row(self, index: QModelIndex) -> None:
        if (row := self.model.row_at(index.row())) and row.key:
            self.clicked.emit(row.key, time.monotonic())

    def _click_title(self, column: int) -> None:
        if key := self.model.sort_key_of(column):
            self.clicked.emit(key, time.monotonic())

    def _enter_row(self, _index: QModelIndex) -> None:
        self.clicked.emit("enter", time.monotonic())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Paste):
            self.pasted.emit(QGuiApplication.clipboard().text())
        elif name := name_of_key(event):
            self.pressed.emit(name, event.text(), typed_at(event.timestamp(), time.monotonic()))

    def focusNextPrevChild(self, _is_next: bool) -> bool:
        return False  # Tab is a key of ours

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.hidden.emit()
