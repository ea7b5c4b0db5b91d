import msgspec
import pytest

from tests.qt.test_prompt_page import view_of
from tinysnitch.qt import palette
from tinysnitch.qt.page_layout import PageLayout
from tinysnitch.qt.page_writer import HINT_SPACE, PageWriter, font_of, key_color
from tinysnitch.qt.paragraph import text_width
from tinysnitch.view.prompt_view import KeyHint
from tinysnitch.view.span import Span

pytestmark = pytest.mark.usefixtures("application")


def test_keys_that_do_not_fit_into_a_row_take_more() -> None:
    view = msgspec.structs.replace(view_of("question"), hints=(tuple(KeyHint(str(n), "word" * 5) for n in range(9)),))
    boxes = [box for box, _label in PageWriter(700, 15).write_lower(view).keys]
    assert len({box.top() for box in boxes}) > 1
    assert max(box.right() for box in boxes) <= 700


def test_rows_of_keys_are_in_the_middle() -> None:
    boxes = [box for box, _label in PageWriter(1280, 15).write_lower(view_of("question")).keys]
    cell = text_width("0", font_of(15))
    for top in {box.top() for box in boxes}:
        row = [box for box in boxes if box.top() == top]
        end_of_text = row[-1].right() - (HINT_SPACE - 1) * cell
        assert row[0].left() == pytest.approx(1280 - end_of_text)


def texts_of(page: PageLayout) -> dict[str, float]:
    """Where each text begins."""
    return {paragraph.layout.text(): place.x() for place, paragraph in page.texts}


def test_rules_that_are_written_together_begin_in_one_column() -> None:
    lines = ((Span("allow a"),), (Span("allow much.longer"),))
    view = msgspec.structs.replace(view_of("question"), together="all", rule=lines[0], more_rules=lines[1:])
    starts = texts_of(PageWriter(1280, 15).write_lower(view))
    width = text_width("allow much.longer", font_of(15))
    assert starts["allow a"] == starts["allow much.longer"] == pytest.approx((1280 - width) / 2, abs=1)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("f", "the rule that y writes, forever, in the rules file"),
        ("o", "what y allows, this once, nothing is written"),
    ],
)
def test_no_rule_is_promised_where_none_is_written(keys: str, told: str) -> None:
    assert told in texts_of(PageWriter(1280, 15).write_lower(view_of("question", keys)))


def test_what_is_wrong_is_told_while_nothing_is_asked() -> None:
    view = msgspec.structs.replace(view_of("question"), warnings=("rules not loaded",), notice="answered")
    assert {"! rules not loaded", "answered"} <= texts_of(PageWriter(1280, 15).write_waiting(view)).keys()


def test_news_stand_beside_why_it_is_asked_and_lose_their_end() -> None:
    view = msgspec.structs.replace(view_of("question"), notice=f"answered once: deny {'x' * 1300}")
    texts = texts_of(PageWriter(1280, 15).write_upper(view, 6))
    assert view.why in texts
    (news,) = (text for text in texts if text.startswith("answered once: deny xxx"))
    assert "…" in news[-3:]


def test_a_dead_key_looks_like_none() -> None:
    dead, live = (
        key_color(KeyHint("Enter", "answer with it", is_dead=is_dead), is_ready=True) for is_dead in (True, False)
    )
    assert (dead, live) == (palette.KEY_WAITING, palette.KEY)


def test_many_rules_are_counted_not_all_shown() -> None:
    one = view_of("question")
    some = msgspec.structs.replace(one, together="all", more_rules=((Span("a"),),) * 20)
    more = msgspec.structs.replace(some, more_rules=((Span("a"),),) * 40)
    heights = [PageWriter(1280, 15).write_lower(view).y for view in (one, some, more)]
    assert heights[0] < heights[1] == heights[2]


def test_facts_take_more_rows_where_they_may() -> None:
    view = view_of("long")
    assert PageWriter(1280, 15).write_upper(view, 1).y < PageWriter(1280, 15).write_upper(view, 4).y
