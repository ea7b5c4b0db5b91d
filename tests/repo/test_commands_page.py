"""docs/commands.md has all fields of the log and of --json output, rules that parse, and headings for man pages."""

import re
from typing import get_args

import pytest

from release.documents import documents
from release.manual.markdown import find_section
from release.manual.pages import PAGES
from tests.repo.blocks import read_blocks
from tests.repo.tree import ROOT
from tinysnitch.core.rules.rule_line import parse_rules
from tinysnitch.doctor.finding import Finding
from tinysnitch.protocol.log_lines import ConnectionLine, LogLine
from tinysnitch.protocol.messages import ChangeEntry, Explanation, ListEntry, RuleEntry, Status, TrafficEntry
from tinysnitch.trace.line import TraceLine

PAGE = (ROOT / "docs/commands.md").read_text()
OF_LOG, OF_OTHERS = (
    dict(re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", part, re.MULTILINE))
    for part in PAGE.partition("## The log")[2].split("What other commands print")
)
LINES = {line.__struct_config__.tag: line.__struct_fields__ for line in get_args(LogLine)}
OBJECTS = {
    "rules": RuleEntry,
    "undo": ChangeEntry,
    "lists": ListEntry,
    "explain": Explanation,
    "status": Status,
    "top": TrafficEntry,
    "doctor": Finding,
}
OF_EVERY_LINE = {"time"}
OF_CONNECTIONS = set(ConnectionLine.__struct_fields__) - OF_EVERY_LINE


@pytest.mark.parametrize("event", LINES)
def test_every_field_of_the_log_is_on_the_page(event: str) -> None:
    told = fields_told(OF_LOG[event]) | OF_EVERY_LINE
    if "the same fields" in OF_LOG[event]:
        told |= OF_CONNECTIONS
    assert sorted(set(LINES[event]) - told) == []


@pytest.mark.parametrize("command", OBJECTS)
def test_every_field_that_a_command_prints_with_json_is_on_the_page(command: str) -> None:
    assert sorted(set(OBJECTS[command].__struct_fields__) - fields_told(OF_OTHERS[command])) == []


def fields_told(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", cell))


def test_the_rules_in_the_examples_parse() -> None:
    """Those of all pages for users, in the text and as lines of a block; docs/rules.md has a test of its own."""
    pages = [page for page in documents(ROOT) if page != ROOT / "docs/rules.md"]
    in_text = [line for page in pages for line in re.findall(r"`((?:allow|deny|ask) [^`]+)`", page.read_text())]
    blocks = [block for page in pages for block in read_blocks(page)[0] if not block.language]
    in_blocks = [line for block in blocks for line in block.lines if re.match(r"(allow|deny|ask) ", line)]
    assert (len(in_text) > 30, len(in_blocks) > 8) == (True, True)
    assert parse_rules("\n".join(in_text + in_blocks), "docs")[1] == []


@pytest.mark.parametrize("heading", [heading for page in PAGES for heading in page.docs])
def test_a_heading_that_a_man_page_takes_stands_in_the_documentation_once(heading: str) -> None:
    text, _depth = find_section(documents(ROOT), heading)
    assert text.strip()


@pytest.mark.parametrize("page", [page.page for page in PAGES if page.page])
def test_a_page_that_becomes_a_man_page_exists(page: str) -> None:
    assert (ROOT / page).is_file()


def test_every_field_of_a_trace_is_on_the_page() -> None:
    told = fields_told(PAGE.partition("- `tinysnitch-trace` prints")[2].partition("\n- ")[0])
    assert set(TraceLine.__struct_fields__) <= told
