import msgspec
import pytest

from tests.qt.test_prompt_page import view_of
from tinysnitch.qt.page_writer import PageWriter
from tinysnitch.view.prompt_view import KeyHint
from tinysnitch.view.segment import Segment

pytestmark = pytest.mark.usefixtures("application")


def test_keys_that_do_not_fit_into_a_row_take_more() -> None:
    view = msgspec.structs.replace(view_of("question"), hints=(tuple(KeyHint(str(n), "word" * 5) for n in range(9)),))
    boxes = [box for box, _label in PageWriter(700, 15).write_lower(view).keys]
    assert len({box.top() for box in boxes}) > 1
    assert max(box.right() for box in boxes) <= 700


def test_many_rules_are_counted_not_all_shown() -> None:
    one = view_of("question")
    some = msgspec.structs.replace(one, together="all", more_rules=((Segment("a"),),) * 20)
    more = msgspec.structs.replace(some, more_rules=((Segment("a"),),) * 40)
    heights = [PageWriter(1280, 15).write_lower(view).y for view in (one, some, more)]
    assert heights[0] < heights[1] == heights[2]


def test_facts_take_more_rows_where_they_may() -> None:
    view = view_of("long")
    assert PageWriter(1280, 15).write_upper(view, 1).y < PageWriter(1280, 15).write_upper(view, 4).y
