"""Adds rows of one key up until they are taken. Bounded: connections whose rows find no room are counted as lost."""

from collections.abc import Iterable

from tinysnitch.core.traffic.row import TrafficKey, TrafficRow

MAX_ROWS = 65_536  # of one batch: 30 MB


class Sums:
    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self.lost = 0  # connections
        self._rows: dict[TrafficKey, TrafficRow] = {}
        self._max_rows = max_rows

    def add(self, rows: Iterable[TrafficRow]) -> None:
        for row in rows:
            known = self._rows.get(row.key)
            if known is not None:
                self._rows[row.key] = add_up(known, row)
            elif len(self._rows) < self._max_rows:
                self._rows[row.key] = row
            else:
                self.lost += row.connections

    def take(self) -> list[TrafficRow]:
        """All rows since the last time, each key once."""
        rows, self._rows = self._rows, {}
        return list(rows.values())


def add_up(one: TrafficRow, other: TrafficRow) -> TrafficRow:
    """The sum of two rows with the same key."""
    return TrafficRow(
        one.key,
        one.connections + other.connections,
        one.bytes_in + other.bytes_in,
        one.bytes_out + other.bytes_out,
        min(one.first_s, other.first_s),
        max(one.last_s, other.last_s),
    )
