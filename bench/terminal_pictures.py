"""Pictures of the terminal's prompt in every state, at several sizes, dark, light and without colours.

`make screenshots` takes them. The rows are those that the prompt draws; a terminal is only painted around them.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QGuiApplication, QImage, QPainter
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.view.painted_state import PaintedState
from tinysnitch.client.packaged_catalogue import read_catalogue
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.log_lines import log_line_of
from tinysnitch.qt.demo import SAMPLES, find_sample_file, sample_prompt
from tinysnitch.tui.group_screen import list_room, render_group
from tinysnitch.tui.help_screen import render_help
from tinysnitch.tui.prompt_screen import render_prompt
from tinysnitch.tui.waiting_screen import render_waiting
from tinysnitch.view.help_view import help_pages
from tinysnitch.view.key_guard import DELAY_S
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_events import (
    DaemonGreeted,
    DecisionsTold,
    KeyPressed,
    ListSized,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
)
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import present_prompt

SIZES = [(40, 14), (80, 24), (200, 60)]
GROUNDS = {"dark": ("#000000", "#d3d7cf"), "light": ("#ffffff", "#2e3436")}
FONT_PX = 16
CELL_WIDTH, CELL_HEIGHT = 10, 20  # pixels
BLOCKS = {  # block elements of Unicode, each with how much of a cell it fills, from the left and from below
    **{chr(0x2588 + eighth): (1 - eighth / 8, 1.0) for eighth in range(8)},
    **{chr(0x2580 + eighth): (1.0, eighth / 8) for eighth in range(1, 8)},
}
NEAR_END_S = 54.0
_LOOKUP = Lookup({1000: "alice", 0: "root"}.get, find_sample_file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="take those whose names hold this")
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    _application = QGuiApplication(["pictures", "-platform", "offscreen"])
    for (width, height), (name, state, now_s) in itertools.product(SIZES, states()):
        page = draw(state, now_s, width, height)
        for ground, has_colors in (("dark", True), ("light", True), ("dark", False)):
            path = words.folder / f"terminal-{width}x{height}-{ground if has_colors else 'nocolor'}-{name}.png"
            if words.only in path.name and not paint(page, width, height, ground, has_colors).save(str(path)):
                sys.exit(f"no picture {path.name}")


def states() -> Iterator[tuple[str, PromptState, float]]:
    """Of each picture: its name, the state, and the time that it is."""
    for name in SAMPLES:
        yield name, asked([name]), 3.0
    yield "not-yet", asked(["question"], now_s=2.0), 2.0
    yield "last-seconds", asked(["question"]), NEAR_END_S
    yield "forever", asked(["question"], "f"), 3.0
    yield "several", asked(["question", "warnings", "inbound"]), 3.0
    yield "together", asked(["question", "long", "right-to-left"], "g"), 3.0
    yield "list", listed(40, ["down", " ", "down"]), 3.0
    yield "list-help", listed(40, ["h"]), 3.0
    yield "edit", asked(["question"], "e"), 3.0
    yield "edit-wrong", asked(["question"], ["e", "home", "x"]), 3.0
    yield "help", asked(["question"], "h"), 3.0
    yield "legend", asked(["question"], "l"), 3.0
    yield "notice", noticed(asked(["question"])), 3.0
    yield "trouble", troubled(asked(["question"])), 3.0
    yield "waiting", asked([]), 3.0
    yield "decisions", decided(asked([])), 9.0
    yield "decision-allowed", decided(asked([]), ["down"]), 9.0
    yield "decision-refused", decided(asked([]), ["down", "down", "down"]), 9.0
    yield "decision-edit", decided(asked([]), ["down", "down", "down", "e"]), 9.0
    yield "waiting-notice", noticed(asked([])), 3.0


def asked(names: list[str], keys: str | list[str] = "", now_s: float = 0.0) -> PromptState:
    """The state with these questions, after these keys were pressed."""
    state = PaintedState()
    state.handle(DaemonGreeted(), now_s)
    for number, name in enumerate(names, 1):
        state.handle(QuestionOpened(sample_prompt(number, SAMPLES[name])), now_s)
    for key in keys:
        state.handle(KeyPressed(key), now_s + 1.0)
    return state


def listed(count: int, keys: list[str]) -> PromptState:
    """The state with the list of so many questions of one program, after these keys were pressed."""
    names = [*("www.example.com" if not at else f"n{at}.page{at % 3}.example" for at in range(count - 2))]
    names += ["evil-exfiltration-host.example.com", "www.example.com.evil.test"]
    state = PaintedState()
    for number, name in enumerate(names, 1):
        prompt = sample_prompt(number, msgspec.structs.replace(SAMPLES["question"], name=name))
        state.handle(QuestionOpened(prompt), 0.0)
    state.handle(ListSized(37, 6), 0.0)
    for at, key in enumerate(["g", *keys], 1):
        state.handle(KeyPressed(key), at * DELAY_S)
    return state


def decided(state: PromptState, keys: list[str] | None = None) -> PromptState:
    """The state after the sample questions were decided, and then these keys were pressed."""
    state.recent.catalogue = read_catalogue()
    flows = [SAMPLES[name] for name in ("warnings", "inbound", "unknown", "right-to-left", "question", "question")]
    for number, connection in enumerate(flows):
        allowed = number % 2
        rule = "allow *.example.com 443 tcp /usr/bin/curl" if allowed else None
        decision = Decision(
            verdict=Verdict.ALLOW if allowed else Verdict.DENY,
            reason="a rule matches" if allowed else "no answer within 60 s",
            rule=parse_rule(rule) if rule else None,
        )
        line = log_line_of(
            ConnectionDecided(connection, decision, wall_s=1_700_000_000.0 + 7 * number, is_cached=False)
        )
        state.handle(DecisionsTold((line,)), 1.0)
    for number, key in enumerate(keys or []):
        state.handle(KeyPressed(key), 2.0 + number)  # the first row counts as new
    return state


def noticed(state: PromptState) -> PromptState:
    state.handle(NoticeGiven("answered forever: allow www.example.com 443 tcp /usr/bin/curl"), 1.0)
    return state


def troubled(state: PromptState) -> PromptState:
    state.handle(NoticeGiven("rules not loaded: /etc/tinysnitch.rules:3:1: not a verdict", stands=True), 1.0)
    state.handle(QuestionClosed(99, ""), 1.0)
    return state


def draw(state: PromptState, now_s: float, width: int, height: int) -> Text:
    view = present_prompt(state, now_s, _LOOKUP)
    if page := help_pages().get(state.page):
        return render_help(*page, width, height, view=view)
    if view.group:
        state.handle(ListSized(*list_room(view, width, height)), now_s)
        return render_group(present_prompt(state, now_s, _LOOKUP), width, height)
    return render_prompt(view, width, height) if view.is_question else render_waiting(view, width, height)


def paint(page: Text, width: int, height: int, ground: str, has_colors: bool) -> QImage:
    """A terminal that shows the page."""
    image = QImage(width * CELL_WIDTH, height * CELL_HEIGHT, QImage.Format.Format_RGB32)
    image.fill(QColor(GROUNDS[ground][0]))
    painter = QPainter(image)
    paint_rows(painter, page, ground, has_colors)
    painter.end()
    return image


def paint_rows(painter: QPainter, page: Text, ground: str, has_colors: bool = True) -> None:
    paper, ink = (QColor(name) for name in GROUNDS[ground])
    console = Console(width=1000, color_system="truecolor", force_terminal=True)
    for row, line in enumerate(page.split("\n", allow_blank=True)):
        column = 0
        for text, style, _control in console.render(line, console.options.update(no_wrap=True, overflow="ignore")):
            for char in text.rstrip("\n"):
                cells = Text(char).cell_len
                box = QRectF(column * CELL_WIDTH, row * CELL_HEIGHT, cells * CELL_WIDTH, CELL_HEIGHT)
                shown = style or Style()
                _paint_cell(painter, box, char, shown if has_colors else shown.without_color, (paper, ink))
                column += cells


def _paint_cell(painter: QPainter, box: QRectF, char: str, style: Style, colors: tuple[QColor, QColor]) -> None:
    paper, ink = colors
    if style.color and style.color.triplet:
        ink = QColor(*style.color.triplet)
    if style.dim:
        ink = QColor(
            *((2 * own + other) // 3 for own, other in zip(ink.toTuple()[:3], paper.toTuple()[:3], strict=True))
        )
    if style.reverse:
        paper, ink = ink, paper
        painter.fillRect(box, paper)
    font = QFont("DejaVu Sans Mono")
    font.setPixelSize(FONT_PX)
    font.setBold(bool(style.bold))
    painter.setFont(font)
    painter.setPen(ink)
    base = box.top() + (CELL_HEIGHT + QFontMetricsF(font).capHeight()) / 2
    if char in BLOCKS:  # a font leaves seams between them, which no terminal shows
        left, lower = BLOCKS[char]
        painter.fillRect(
            QRectF(box.left(), box.bottom() - CELL_HEIGHT * lower, CELL_WIDTH * left, box.height() * lower), ink
        )
    elif char.strip():
        painter.drawText(box.left(), base, char)


if __name__ == "__main__":
    main()
