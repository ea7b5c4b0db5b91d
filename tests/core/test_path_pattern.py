import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.rule_strategies import glob_of, texts
from tinysnitch.core.path_pattern import compile_pattern, covers_pattern, escape_pattern, pattern_tokens


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("/opt/*/x", "/opt/a/x", True),
        ("/opt/*/x", "/opt/a/b/x", False),
        ("/opt/**/x", "/opt/a/b/x", True),
        ("/opt/*", "/opt/", True),
        ("/opt/*", "/opt/a\nb", True),
        (r"/opt/\*", "/opt/*", True),
        (r"/opt/\*", "/opt/a", False),
    ],
)
def test_one_star_ends_at_a_slash_and_two_do_not(pattern: str, path: str, is_match: bool) -> None:
    assert bool(compile_pattern(pattern).fullmatch(path)) is is_match


@given(texts)
def test_an_escaped_text_is_a_pattern_of_itself(text: str) -> None:
    assert compile_pattern(escape_pattern(text)).fullmatch(text)
    assert not any(token[0] == "*" for token in pattern_tokens(escape_pattern(text)))


@given(texts, texts, st.text("ab", max_size=3))
def test_a_glob_takes_any_text_between(first: str, last: str, middle: str) -> None:
    assert compile_pattern(glob_of(first, last).text).fullmatch(first + middle + last)


@pytest.mark.parametrize(
    ("wide", "narrow", "is_covered"),
    [
        ("/opt/**", "/opt/*/x", True),
        ("/opt/*/x", "/opt/**", False),
        ("/opt/*", "/opt/a*", True),
        ("/opt/a*", "/opt/*", False),
        (r"/opt/\*", "/opt/*", False),
        ("/opt/*", r"/opt/\*", True),
    ],
)
def test_what_is_narrower_in_the_place_of_a_star_is_covered(wide: str, narrow: str, is_covered: bool) -> None:
    assert covers_pattern(wide, narrow) is is_covered
