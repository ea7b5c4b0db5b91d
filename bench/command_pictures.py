"""Pictures of what commands show on a terminal, at several sizes, dark, light and without colours: `make screenshots`.

Each command really runs, on a pseudo-terminal, at a daemon that is played (`PlayedDaemon`) and at a moment that stands
still (bench/moment.py). What it writes is shown as a terminal would, below the line that called it.
"""

import argparse
import asyncio
import itertools
import os
import pty
import shutil
import sys
import tempfile
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
from PySide6.QtGui import QGuiApplication
from rich.text import Text

from bench.picture_samples import (
    ASKED,
    ASKED_TOTAL,
    ASKING,
    ASKING_TOTAL,
    CHANGES,
    GROUPS,
    LEARNED,
    LISTS,
    LOG,
    NOW_S,
    PROMPTS,
    RULES,
    STATUS,
    domains,
    past,
    total_of,
)
from bench.terminal_pictures import paint
from tests.tui.question_daemon import QuestionDaemon
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.core.tidy.learned_review import review
from tinysnitch.core.tidy.rules_tidy import Gone, propose
from tinysnitch.core.traffic.asked_names import NamesQuestion
from tinysnitch.core.traffic.queries import By, TrafficQuestion
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol import messages as msg

SIZES = [(80, 24), (120, 40)]
WAIT_S = 60.0


class Shot(NamedTuple):
    name: str
    words: tuple[str, ...]
    is_in_docs: bool = True
    keys: str = ""  # each is pressed where the command waits for one; the picture is taken where it waits for the next


SHOTS = (
    Shot("status", ("status",)),
    Shot("status-all", ("status", "--all"), is_in_docs=False),
    Shot("rules", ("rules",)),
    Shot("rules-used", ("rules", "--used")),
    Shot("rules-tidy", ("rules", "tidy"), keys="y"),
    Shot("learned", ("learned",), keys="y"),
    Shot("asks", ("asks",)),
    Shot("lists", ("lists",), is_in_docs=False),
    Shot("log", ("log",)),
    Shot("undo-list", ("undo", "--list")),
    Shot("history", ("history",), is_in_docs=False),
    Shot("history-domain", ("history", "--by", "domain")),
    Shot("names", ("names",), is_in_docs=False),
    Shot("names-chromium", ("names", "chromium")),
)


class PlayedDaemon(QuestionDaemon):
    """It has the rules, the history and the rest of bench/picture_samples.py, and takes what is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = RULES
        self.undo.changes = CHANGES
        self.prompts = PROMPTS
        self._tidying = self  # type: ignore[assignment]
        self._looking_back = self  # type: ignore[assignment]

    def status(self, right: Right) -> msg.Status:
        return msgspec.structs.replace(super().status(right), groups=GROUPS, **STATUS)

    def list_rules(self, right: Right, *, is_used: bool = False) -> list[msg.RuleEntry]:
        entries = super().list_rules(right, is_used=is_used)
        return entries if is_used else [msgspec.structs.replace(entry, count=None, last=None) for entry in entries]

    def list_lists(self, _right: Right) -> list[msg.ListEntry]:
        return LISTS

    def list_proposals(self, _request: msg.ListProposals, _right: Right) -> Iterator[msg.Reply]:
        rules = tuple(parse_rule(entry.rule) for entry in RULES if entry.until is None and entry.pid is None)
        last_used = {parse_rule(entry.rule): entry.last or NOW_S - 100 * 86400 for entry in RULES}
        gone = Gone(paths={"/usr/sbin/sshd"})
        for found in propose(rules, Facts(), NOW_S, lambda _program: False, gone=gone, last_used=last_used):
            if found:
                added = None if found.added is None else format_rule(found.added)
                removed = tuple(map(format_rule, found.removed))
                yield msg.ProposalEntry(found.kind, removed, added, found.why, found.effect)

    def take(self, request: msg.TakeProposal, _right: Right) -> Iterator[msg.Reply]:
        return iter((msg.RuleWritten(request.added or request.removed[0]),))

    def list_learned(self, _right: Right) -> Iterator[msg.Reply]:
        about = {parse_rule(line): (line, since, count) for line, since, count in LEARNED}
        in_force = [parse_rule(entry.rule) for entry in RULES]
        for each in review(about, in_force, Facts(), lambda _program: False):
            found = each.proposal
            yield msg.LearnedEntry(
                kind=found.kind,
                lines=tuple(msg.LearnedLine(*about[rule]) for rule in found.removed),
                added=None if found.added is None else format_rule(found.added),
                why=found.why,
                effect=found.effect,
                wider=tuple(msg.WiderRule(format_rule(wider.rule), wider.effect) for wider in each.wider),
            )

    def take_learned(self, request: msg.TakeLearned, _right: Right) -> msg.RuleWritten:
        return msg.RuleWritten(request.rule or "")

    def read_history(self, question: TrafficQuestion | int, _right: Right):  # type: ignore[no-untyped-def] # noqa: ANN201
        """The lines of the log if `question` is their number, which the handler asks itself for."""
        return LOG if isinstance(question, int) else self._read_sums(question)

    def _read_sums(self, question: TrafficQuestion) -> Iterator[msg.Reply]:
        lines = domains() if question.by is By.DOMAIN else past()
        yield from map(msg.HistoryEntry, lines)
        yield msg.HistoryTotal(total_of(lines))

    def read_names(self, question: NamesQuestion, _right: Right) -> Iterator[msg.Reply]:
        if question.program:
            yield from map(msg.NamesAsked, ASKED)
        else:
            yield from map(msg.NamesProgram, ASKING)
        yield msg.NamesSum(ASKED_TOTAL if question.program else ASKING_TOTAL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="take those whose names hold this")
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    _application = QGuiApplication(["pictures", "-platform", "offscreen"])
    for shot, (width, height) in itertools.product(SHOTS, SIZES):
        names = [f"command-{width}x{height}-{ground}-{shot.name}.png" for ground in ("dark", "light", "nocolor")]
        if not any(words.only in name for name in names):
            continue
        page = show(shot, width, height)
        for name, (ground, has_colors) in zip(names, (("dark", True), ("light", True), ("dark", False)), strict=True):
            if not paint(page, width, height, ground, has_colors).save(str(words.folder / name)):
                sys.exit(f"no picture {name}")


def show(shot: Shot, width: int, height: int) -> Text:
    """The last rows of a terminal in which the command was called."""
    rows = [Text.assemble(("$ ", "dim"), (f"tinysnitch {' '.join(shot.words)}", "bold"))]
    for line in run(shot, width, height):
        rows += line.divide(range(width, len(line), width))  # as a terminal breaks it
    return Text("\n").join(rows[-height:])


@cache
def run(shot: Shot, width: int, height: int) -> list[Text]:
    """The lines that the command writes on such a terminal."""
    written = asyncio.run(_run(shot, width, height)).decode()
    return list(Text.from_ansi(written.replace("\r\n", "\n").rstrip("\n")).split("\n", allow_blank=True))


async def _run(shot: Shot, width: int, height: int) -> bytes:
    folder = Path(tempfile.mkdtemp())
    try:
        async with _played(folder / "socket") as socket:
            return await _read_screen(shot, socket, width, height)
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def _played(path: Path) -> AsyncIterator[Path]:
    daemon = PlayedDaemon()
    await daemon.server.start(path)
    try:
        yield path
    finally:
        await daemon.server.close()


async def _read_screen(shot: Shot, socket: Path, width: int, height: int) -> bytes:
    """What the command writes until it ends, or waits for one key more than there are."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (height, width))
    environment = {**os.environ, "TERM": "xterm-256color", "TZ": "UTC", "LC_ALL": "C.UTF-8", "COLUMNS": str(width)}
    environment["COLORTERM"] = "truecolor"
    for name in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    command = (sys.executable, "-m", "bench.moment", *shot.words, "--socket", str(socket))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    written, loop, keys = bytearray(), asyncio.get_running_loop(), list(shot.keys)
    loop.add_reader(ours, lambda: written.extend(os.read(ours, 65536)))
    try:
        async with asyncio.timeout(WAIT_S):
            while process.returncode is None and (shot.keys == "" or keys or not _waits(written)):
                if keys and _waits(written):
                    os.write(ours, keys.pop(0).encode())
                    await asyncio.sleep(0.2)
                await asyncio.sleep(0.02)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)
    return bytes(written)


def _waits(written: bytearray) -> bool:
    """Whether the keys of a question are the last thing that was written."""
    return written.endswith(b"q quit ")


if __name__ == "__main__":
    main()
