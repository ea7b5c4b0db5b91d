"""A running tinysnitchd and the records of its log: one JSON object a line (docs/commands.md)."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from tests.lab import forked
from tests.lab.forked import Forked
from tests.lab.namespaces import Namespaces
from tests.lab.patience import WAIT_S

BIN = Path(sys.executable).parent
Record = dict[str, Any]


def _start(command: list[str], namespaces: Namespaces, stderr: IO[str]) -> subprocess.Popen[str] | Forked:
    """A fork, unless a test has put another installation in the place of ours."""
    if Path(command[0]).parent == Path(sys.executable).parent:
        return Forked(command, namespaces.place_outside(), subprocess.PIPE, stderr, is_leader=True)
    return subprocess.Popen(
        namespaces.enter_host_outside() + command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
    )


def file_flags(folder: Path) -> list[str]:
    """The flags of a tinysnitchd that has its settings, rules, state and socket in the folder."""
    places = {"--config-dir": "config", "--rules": "rules", "--state-dir": "state", "--socket": "socket"}
    return [word for flag, name in places.items() for word in (flag, str(folder / name))]


class Daemon:
    """Started by `Lab.start_daemon`; ready when its constructor returns."""

    def __init__(self, namespaces: Namespaces, folder: Path, flags: list[str]) -> None:
        self._namespaces = namespaces
        self.rules = folder / "rules"
        self.socket = folder / "socket"
        self._stderr = folder / "stderr"
        self._log = b""  # a line that is not complete yet
        self._lines: list[str] = []
        self._records: list[Record] = []  # the first of the lines, decoded: only on demand, so that reading is quick
        self._changed = threading.Condition()
        self._is_over = False
        command = [str(BIN / "tinysnitchd"), *file_flags(folder), "--log", "json", *flags]
        with self._stderr.open("a") as stderr:
            self.process = _start(command, namespaces, stderr)
        namespaces.track(self.process)
        assert self.process.stdout
        self._log_fd = os.dup(self.process.stdout.fileno())
        os.set_blocking(self._log_fd, False)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.wait_for(lambda record: record["event"] == "rules")  # the line that follows `ready`

    def read_rules(self) -> str:
        """The text of the rules file, without who made each rule and when."""
        return re.sub(r"  # by \S+ [0-9]{4}-[0-9]{2}-[0-9]{2}$", "", self.rules.read_text(), flags=re.MULTILINE)

    def _read_log(self) -> None:
        while not self._is_over:
            select.select([self._log_fd], [], [])
            with self._changed:
                self._take_log()
                self._changed.notify_all()
        os.close(self._log_fd)

    def _take_log(self) -> None:
        """Read all that is in the pipe. The caller holds `_changed`."""
        while not self._is_over:
            try:
                piece = os.read(self._log_fd, 1 << 16)
            except BlockingIOError:
                return
            *lines, self._log = (self._log + piece).split(b"\n")
            self._lines += [f"{line.decode()}\n" for line in lines]
            self._is_over = not piece

    def records(self, event: str | None = None) -> list[Record]:
        """What was logged so far, of one event or of all.

        The pipe is read first, so whatever was logged before a command got its answer is included.
        """
        with self._changed:
            self._take_log()
            self._decode()
            return [record for record in self._records if event in (None, record["event"])]

    def _decode(self) -> None:
        self._records += map(json.loads, self._lines[len(self._records) :])

    def wait_for(self, is_it: Callable[[Record], bool]) -> Record:
        """Wait for the first record for which `is_it` holds; records that are already logged count."""
        return self.wait_for_count(is_it, 1)[0]

    def wait_for_count(self, is_it: Callable[[Record], bool], count: int) -> list[Record]:
        """Wait for the first `count` records for which `is_it` holds; records that are already logged count."""
        found: list[Record] = []
        looked_at = 0

        def is_enough() -> bool:
            nonlocal looked_at
            self._decode()
            found.extend(record for record in self._records[looked_at:] if is_it(record))
            looked_at = len(self._records)
            return len(found) >= count

        with self._changed:
            self._changed.wait_for(lambda: is_enough() or self._is_over, WAIT_S)
        if len(found) < count:
            raise AssertionError(f"{len(found)} of {count} such records; {self.describe()}")
        return found[:count]

    def wait_ask(self, **fields: object) -> Record:
        """Wait for the first question whose fields have these values."""
        return self.wait_for(lambda record: _matches(record, "ask", fields))

    def wait_connection(self, **fields: object) -> Record:
        """Wait for the first decision whose fields have these values."""
        return self.wait_for(lambda record: _matches(record, "connection", fields))

    def wait_connections(self, count: int) -> list[Record]:
        """Wait for the first `count` decisions."""
        return self.wait_for_count(lambda record: record["event"] == "connection", count)

    def describe(self) -> str:
        """For the message of a failed test: the daemon's exit status, its stderr and the end of its log."""
        log = "".join(self._lines[-30:])
        return f"exit status {self.process.poll()}, stderr:\n{self._stderr.read_text()}\nlog:\n{log}"

    def cli(self, *words: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `tinysnitch SUBCOMMAND --socket ... REST`, as root or as another user."""
        command = [str(BIN / "tinysnitch"), words[0], "--socket", str(self.socket), *words[1:]]
        if user is None:
            return forked.run(command, self._namespaces.place_outside())
        return subprocess.run(
            self._namespaces.enter_host_outside(user) + command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=WAIT_S,
        )

    def asks(self) -> list[Record]:
        """The open questions, as `tinysnitch asks --json` lists them."""
        listed = self.cli("asks", "--json")
        assert listed.returncode == 0, listed.stderr
        return [json.loads(line) for line in listed.stdout.splitlines()]

    def answer(self, ask: Record, verdict: str, *flags: str) -> None:
        """Run `tinysnitch answer ID yes|no ...`, which must succeed."""
        done = self.cli("answer", str(ask["id"]), verdict, *flags)
        assert done.returncode == 0, f"{done.stderr}\n{self.describe()}"

    def edit_rules(self, text: str) -> None:
        """Replace the rules file as an editor does, and wait until the daemon has read it."""
        count = len(self.records("rules"))
        draft = self.rules.with_suffix(".new")
        draft.write_text(text)
        draft.rename(self.rules)
        self.wait_for_count(lambda record: record["event"] == "rules", count + 1)

    def stop(self) -> int:
        """End the daemon cleanly, by SIGTERM; its exit status."""
        os.kill(self.process.pid, signal.SIGTERM)
        return self._wait()

    def stop_and_tell(self, event: str) -> list[Record]:
        """End the daemon cleanly; all records of this event that it logged."""
        assert self.stop() == 0, self.describe()
        return self.records(event)

    def kill(self) -> None:
        """End the daemon by SIGKILL, as the kernel's out-of-memory killer would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self._wait()

    def _wait(self) -> int:
        status = self.process.wait(timeout=WAIT_S)
        self._reader.join(timeout=WAIT_S)
        return status


def _matches(record: Record, event: str, fields: dict[str, object]) -> bool:
    return record["event"] == event and all(record.get(name) == value for name, value in fields.items())
