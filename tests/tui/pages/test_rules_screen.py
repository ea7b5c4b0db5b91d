import pytest

from tests.view.pages.open_page import LINES, NOW, WALL_S, entry_of, press, rules_page
from tinysnitch.tui.pages.rules_screen import render_rules
from tinysnitch.view.escape import cell_width
from tinysnitch.view.pages.rules_view import present_rules


@pytest.mark.parametrize("size", [(80, 23), (200, 59), (60, 20), (40, 13)])
def test_the_rules_fit_any_terminal_with_remote_port_and_program(size: tuple[int, int]) -> None:
    page = rules_page(
        *(entry_of(line, count=412, last=WALL_S - 60) for line in LINES),
        *(entry_of(f"allow n{at}.shop.test - -", group="work") for at in range(60)),
    )
    press(page, "down")
    rows = [row.plain.rstrip() for row in render_rules(present_rules(page, 11.0, NOW), *size)]
    assert len(rows) <= size[1]
    assert max(map(cell_width, rows)) <= size[0]
    row = next(row for row in rows if "shop.test" in row and "443" in row)
    assert row.split()[:2] == ["allow", "shop.test"]
    assert "curl" in row
    assert LINES[0] in "\n".join(rows)
    assert ("412" in row, "412  22:12" in row) == (size[0] >= 60, size[0] >= 80)
    assert any("412 times, last at 22:12" in row for row in rows)


def test_while_a_rule_is_edited_its_line_and_what_is_wrong_with_it_are_shown() -> None:
    page = rules_page()
    press(page, "down", "e", "home", "x")
    text = "\n".join(row.plain for row in render_rules(present_rules(page, 20.0, NOW), 80, 23))
    assert f"x{LINES[0]}" in text
    assert "column 1: not a verdict" in text
