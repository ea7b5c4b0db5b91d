"""The findings as lines: state, name and text; below a thing that lacks, what follows and what mends it."""

import os
import shutil
import textwrap
from collections.abc import Iterator

from tinysnitch.cli.output import find_output, print_lines
from tinysnitch.doctor.finding import Finding, State
from tinysnitch.view.text import escape_text

_WIDTH = 79  # where the output is no terminal's
_INDENT = 26
_COLOURS = {State.OK: "green", State.NOTE: "yellow", State.ROOT: "dim", State.LACKING: "bold red"}
_QUIET = {State.ROOT: "dim"}  # of the rest of a line
_LEADS = {"follows": "so ", "mend": "hint: "}


def lay_out(finding: Finding, width: int) -> Iterator[tuple[str, str]]:
    """The state's word, or blanks in its place, and the rest of each line."""
    rows = _wrap(finding.text, "", width)
    for field, lead in _LEADS.items():
        rows += _wrap(getattr(finding, field), lead, width)
    for number, row in enumerate(rows or [""]):
        state, name = ("", "") if number else (finding.state.value, finding.name)
        yield f"{state:<8}", f"{name:<{_INDENT - 8}}{row}"


def _wrap(text: str, lead: str, width: int) -> list[str]:
    return textwrap.wrap(
        escape_text(text),
        max(width - _INDENT, 20),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def summarize(findings: list[Finding]) -> str:
    lacking = [finding.name for finding in findings if finding.state is State.LACKING]
    hidden = sum(finding.state is State.ROOT for finding in findings)
    what = f"lacking: {', '.join(lacking)}" if lacking else "nothing lacks"
    unseen = f", as far as you may see; `sudo tinysnitch doctor` tells {hidden} more" if hidden else ""
    return what + unseen


def print_report(findings: list[Finding]) -> None:
    is_terminal = os.isatty(find_output())
    width = shutil.get_terminal_size().columns - 1 if is_terminal else _WIDTH
    if is_terminal:
        _paint(findings, width)
    else:
        lines = ["".join(parts).rstrip() for finding in findings for parts in lay_out(finding, width)]
        print_lines([*lines, summarize(findings)])


def _paint(findings: list[Finding], width: int) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)  # knows the colours, and NO_COLOR
    for finding in findings:
        for state, rest in lay_out(finding, width):
            console.print(Text.assemble((state, _COLOURS[finding.state]), (rest, _QUIET.get(finding.state, ""))))
    worst = State.LACKING if any(finding.state is State.LACKING for finding in findings) else State.OK
    console.print(summarize(findings), style=f"bold {_COLOURS[worst]}", markup=False)
