""""""

import pytest

from tinysnitch.view.span import Line, Span, fit_spans, format_duration, format_time_left, span_of, text_of
from tinysnitch.view.text import cell_width


def test_a_span_of_hostile_text_is_escaped() -> None:
    assert span_of("a\x1b[2J", is_covered=True) == Span("a\\x1b[2J", is_covered=True)


def test_a_line_knows_its_text() -> None:
    assert Line("name", (Span("www."), Span("shop.test", True))).text == "www.shop.test"


def test_what_fits_stays() -> None:
    spans = (Span("allow "), Span("shop.test", is_covered=True))
    assert fit_spans(spans, 15) == spans
    rule = rule_of("allow", "shop.test", "443", "tcp", "/usr/bin/curl", *["a"] * 20)
    assert fit_spans(rule, 80) == rule


def test_the_longest_gives_way_in_its_middle() -> None:
    fitted = fit_spans((Span("allow"), Span("/a" * 50 + "/end")), 30)
    assert fitted[0].text == "allow"
    assert fitted[1].text.endswith("/end")
    assert len(text_of(fitted)) <= 30


@pytest.mark.parametrize(
    ("lengths", "width", "fitted"), [([100], 99, [99]), ([40, 39], 40, [20, 20]), ([12, 12], 18, [9, 9])]
)
def test_long_ones_share_what_is_too_much(lengths: list[int], width: int, fitted: list[int]) -> None:
    spans = fit_spans(tuple(Span("x" * length) for length in lengths), width)
    assert [cell_width(span.text) for span in spans] == fitted


def rule_of(*words: str) -> tuple[Span, ...]:
    return tuple(span for word in words for span in (Span(word), Span(" ")))[:-1]


@pytest.mark.parametrize("word", ["a", "--option=value", "x" * 500])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_any_number_of_arguments_leaves_in_sight_who_it_is_and_where_it_goes(word: str, width: int) -> None:
    rule = rule_of(
        "allow", "until=2026-11-26T05:35:07Z", "shop.test", "443", "tcp", "/usr/bin/curl", *[word] * 99, "end"
    )
    fitted = text_of(fit_spans(rule, width))
    assert width - len("…=value ") <= cell_width(fitted) <= width  # as many arguments as have room
    assert [part for part in ("allow", "shop.test 443 tcp ", "curl ", " … ", " end") if part not in fitted] == []


@pytest.mark.parametrize("count", [20, 30, 99])
def test_many_arguments_shorten_neither_the_remote_nor_the_path_before_themselves(count: int) -> None:
    java, name = "/usr/lib/jvm/java-21-openjdk-amd64/bin/java", "repository.apache.org"
    rule = rule_of("allow", "until=2026-11-26T05:35:07Z", name, "443", "tcp", java, *["-Doption.of.it=value"] * count)
    fitted = text_of(fit_spans(rule, 4 * 78))
    assert f" {name} 443 tcp {java} " in fitted
    assert 4 * 78 - len("-Doption.of.it=value ") <= cell_width(fitted) <= 4 * 78


def test_there_is_always_an_end() -> None:
    assert len(fit_spans((Span("ab"), Span("cd")), 0)) == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.9, "9 s"), (423, "7 min 3 s"), (18_720, "5 h 12 min"), (273_600, "3 d 4 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (60, "60 s"), (120, "120 s"), (3599, "59 min 59 s")])
def test_the_time_that_is_left(seconds: int, text: str) -> None:
    assert format_time_left(seconds) == text


def test_the_time_that_is_left_is_read_aloud() -> None:
    assert [format_time_left(seconds, "seconds") for seconds in (59, 3599)] == ["59 seconds", "59 min 59 s"]
