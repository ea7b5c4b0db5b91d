import re
from pathlib import Path

import pytest

from tinysnitch.core.rule_text import parse_rules
from tinysnitch.view.rule_tables import render_rule_tables

PAGE = Path(__file__).parents[2].joinpath("docs/rules.md").read_text()


@pytest.mark.parametrize(("name", "table"), render_rule_tables().items())
def test_the_page_has_the_tables_that_the_parser_reads(name: str, table: str) -> None:
    assert f"<!-- table: {name} -->\n{table}\n" in PAGE


def test_the_rules_on_the_page_are_rules() -> None:
    (block,) = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    found, errors = parse_rules(block, "docs/rules.md")
    assert len(found) == 6
    assert errors == []


def test_the_rules_in_the_examples_are_rules() -> None:
    examples = re.findall(r"`((?:allow|deny|ask) [^`]+)`", PAGE)
    _found, errors = parse_rules("\n".join(examples), "docs/rules.md")
    assert len(examples) > 6
    assert errors == []
