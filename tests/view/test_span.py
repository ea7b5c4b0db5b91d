from tinysnitch.view.span import Line, Span, span_of


def test_a_span_of_hostile_text_is_escaped() -> None:
    assert span_of("a\x1b[2J", is_covered=True) == Span("a\\x1b[2J", is_covered=True)


def test_a_line_knows_its_text() -> None:
    assert Line("name", (Span("www."), Span("shop.test", True))).text == "www.shop.test"
