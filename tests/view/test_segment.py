from tinysnitch.view.segment import Line, Segment, segment_of


def test_a_segment_of_hostile_text_is_escaped() -> None:
    assert segment_of("a\x1b[2J", is_covered=True) == Segment("a\\x1b[2J", is_covered=True)


def test_a_line_knows_its_text() -> None:
    assert Line("name", (Segment("www."), Segment("shop.test", True))).text == "www.shop.test"
