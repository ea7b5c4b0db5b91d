"""docs/rules.md has the tables that the parser reads, and its example rules parse."""

import re
from collections.abc import Iterable

import pytest

from tests.repo.tree import ROOT
from tinysnitch.core.rules.program_column import ARGS_FORMS
from tinysnitch.core.rules.qualifiers import QUALIFIERS
from tinysnitch.core.rules.rule_line import COLUMNS, VERDICT, parse_rules

PAGE = (ROOT / "docs/rules.md").read_text()
TABLES: dict[str, Iterable[tuple[str, str]]] = {
    **{column.name: [(form.spelling, form.meaning) for form in column.forms] for column in (VERDICT, *COLUMNS)},
    "args": ARGS_FORMS,
    "qualifiers": [(qualifier.example, qualifier.meaning) for qualifier in QUALIFIERS.values()],
}


@pytest.mark.parametrize(("name", "rows"), TABLES.items())
def test_the_page_has_the_tables_that_the_parser_reads(name: str, rows: Iterable[tuple[str, str]]) -> None:
    lines = [f"| `{spelling}` | {meaning} |" for spelling, meaning in rows]
    table = "\n".join([f"<!-- table: {name} -->", "| write | for |", "|---|---|", *lines, ""])
    assert table in PAGE


def test_the_rules_file_on_the_page_parses() -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (block,) = [text for language, text in blocks if not language]
    found, errors = parse_rules(block, "docs/rules.md")
    assert len(found) == 6
    assert errors == []


def test_the_rules_in_the_examples_parse() -> None:
    examples = re.findall(r"`((?:allow|deny|ask) [^`]+)`", PAGE)
    _found, errors = parse_rules("\n".join(examples), "docs/rules.md")
    assert len(examples) > 6
    assert errors == []
