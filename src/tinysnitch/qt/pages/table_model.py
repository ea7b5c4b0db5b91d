"""The table that the window shows, as Qt reads it. A change of values alone keeps selection and place."""

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.qt.pages.page_table import PageRow, PageTable
from tinysnitch.qt.theme import Look

_Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_APART = "\N{NO-BREAK SPACE}"  # behind a number, which ends where the text of the next column begins
_VERDICTS = ("verdict", "rule", "then")  # titles of columns that stand out in a row that is denied


class TableModel(QAbstractTableModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table: PageTable | None = None
        self._look: Look | None = None

    def show_table(self, table: PageTable, look: Look) -> None:
        before = self._table
        self._look = look
        if before and (len(before.rows), before.titles) == (len(table.rows), table.titles):
            self._table = table
            if table.rows:
                self.dataChanged.emit(self.index(0, 0), self.index(len(table.rows) - 1, len(table.titles) - 1))
            return
        self.beginResetModel()
        self._table = table
        self.endResetModel()

    @property
    def titles(self) -> tuple[str, ...]:
        return self._table.titles if self._table else ()

    def sort_key_of(self, column: int) -> str:
        """The key that a click on the column's title presses; "": none."""
        sorts = self._table.sorts if self._table else ()
        return sorts[column] if column < len(sorts) else ""

    def row_at(self, number: int) -> PageRow | None:
        rows = self._table.rows if self._table else ()
        return rows[number] if 0 <= number < len(rows) else None

    # what Qt calls

    def rowCount(self, parent: _Index = _NOWHERE) -> int:
        return len(self._table.rows) if self._table and not parent.isValid() else 0

    def columnCount(self, parent: _Index = _NOWHERE) -> int:
        return len(self._table.titles) if self._table and not parent.isValid() else 0

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's own
        row = self.row_at(index.row())
        if row is None or self._table is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._apart(row.cells[index.column()], index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() in self._table.numbers:
            return _RIGHT
        if role == Qt.ItemDataRole.ForegroundRole and self._look:
            return self._color(row, self._table.titles[index.column()], self._look)
        return None

    def _apart(self, text: str, column: int) -> str:
        return f"{text}{_APART}" if self._table and column in self._table.numbers else text

    def _color(self, row: PageRow, title: str, look: Look) -> QColor | None:
        return look.theme.warning if title in _VERDICTS and row.verdict == Verdict.DENY.value else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's own
        if self._table is None or orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._apart(self._table.titles[section], section)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            right = section in self._table.numbers
            return _RIGHT if right else int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None
