"""Where records go: the log, the history, and as lines to whoever follows."""

from tinysnitch.core.clock import Instant
from tinysnitch.core.records import Record
from tinysnitch.daemon.log_output import LogOutput
from tinysnitch.daemon.options import LogFormat
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import LogLine, log_line_of
from tinysnitch.protocol.log_text import format_text
from tinysnitch.store.history import History


class Recorder:
    def __init__(self, log: LogOutput, log_format: LogFormat, history: History) -> None:
        self._log = log
        self._is_text = log_format is LogFormat.TEXT
        self._history = history

    def record(self, record: Record) -> bytes:
        """Write a record to the log and the history; return its line."""
        line = log_line_of(record)
        encoded = self.write(line)
        self._history.append(encoded)
        return encoded

    def write(self, line: LogLine) -> bytes:
        """To the log alone."""
        encoded = encode_object(line)
        self._log.write(format_text(line).encode(errors="backslashreplace") if self._is_text else encoded)
        return encoded

    def flush(self, now: Instant) -> None:
        self._log.flush()
        self._history.flush_due(now.boot_s)

    def next_deadline(self) -> float | None:
        """Boot-time seconds when the history wants to be written."""
        return self._history.next_flush_deadline()

    def losses(self) -> dict[str, int]:
        return {"log lines": self._log.lost, "history rows": self._history.lost}
