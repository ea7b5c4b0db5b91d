""""""

import pytest
from hypothesis import given

from tests.core.model.any_text import SOME_TEXT
from tinysnitch.view.escape import cell_width, escape_text
from tinysnitch.view.span import (
    Line,
    Span,
    Weight,
    fit_cell,
    fit_spans,
    format_duration,
    format_time_left,
    span_of,
    spans_of_name,
    spans_of_names,
    text_of,
)


def test_a_span_of_hostile_text_is_escaped() -> None:
    assert span_of("a\x1b[2J", is_covered=True) == Span("a\\x1b[2J", is_covered=True)


@pytest.mark.parametrize(
    ("name", "quiet", "strong"),
    [
        ("cdn.shop.test", "cdn.", "shop.test"),
        ("shop.test", "", "shop.test"),
        ("evil-exfiltration-host.shop.test", "evil-exfiltration-host.", "shop.test"),
        ("shop.test.evil.example", "shop.test.", "evil.example"),
        ("evil-shop.test", "", "evil-shop.test"),
        ("www.bbc.co.uk", "www.", "bbc.co.uk"),
        ("*.shop.test", "*.", "shop.test"),
        ("me.github.io", "", "me.github.io"),  # each name below that suffix has an owner of its own
        ("github.io", "", "github.io"),
        ("printer", "", "printer"),
        ("10.0.0.9", "", "10.0.0.9"),
        ("::ffff:10.0.0.9", "", "::ffff:10.0.0.9"),
        ("fe80::1%eth0.test", "", "fe80::1%eth0.test"),
        ("10.0.0.0/8.test", "", "10.0.0.0/8.test"),
        ("a.SHOP.TEST", "", "a.SHOP.TEST"),  # not in the one spelling
        ("a\\046b.evil.test", "a\\046b.", "evil.test"),
        ("a\x1b[2J.evil.test", "a\\x1b[2J.", "evil.test"),
        ("shop.test\u202e.evil.test", "shop.test\\u202e.", "evil.test"),
        ("", "", ""),
    ],
)
def test_of_a_name_the_domain_that_somebody_registered_is_strong(name: str, quiet: str, strong: str) -> None:
    expected = (Span(quiet, weight=Weight.QUIET),) if quiet else ()
    assert spans_of_name(name) == (*expected, Span(strong, weight=Weight.STRONG))
    assert all(span.is_covered for span in spans_of_name(name, is_covered=True))


@given(SOME_TEXT)
def test_a_hostile_name_is_shown_as_it_is_escaped(name: str) -> None:
    spans = spans_of_name(name)
    assert spans[-1].weight is Weight.STRONG
    assert escape_text(text_of(spans)) == text_of(spans)


def test_each_of_several_names_has_its_weights() -> None:
    assert text_of(spans_of_names(("a.shop.test", "b.test"))) == "a.shop.test, b.test"
    assert [span.text for span in spans_of_names(("a.shop.test", "b.test")) if span.weight is Weight.STRONG] == [
        "shop.test",
        "b.test",
    ]
    assert spans_of_names(()) == ()


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


def test_in_a_column_what_is_strong_stays_whole_while_the_rest_can_give_way() -> None:
    name, path = (
        spans_of_name("cdn.shop.test"),
        (Span("/usr/bin/", weight=Weight.QUIET), Span("curl", weight=Weight.STRONG)),
    )
    script = (Span("python3.13", weight=Weight.STRONG), Span(" "), Span("/home/alice/bin/weather.py"))
    rule = (*(Span(word) for word in ("allow", " ", "shop.test", " ", "443", " ")), *path)
    for spans, width, shown in (
        (name, 13, "cdn.shop.test"),
        (name, 12, "…n.shop.test"),
        (name, 11, "….shop.test"),
        (path, 8, "…in/curl"),
        (script, 15, "python3.13 ….py"),
        ((Span("unknown"),), 4, "…own"),
    ):
        assert text_of(fit_cell(spans, width)) == shown
    assert text_of(fit_cell(name, 10)) == text_of(fit_spans(name, 10))
    assert fit_cell(rule, 24) == fit_spans(rule, 24)
