import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.rules.rule_strategies import glob_of, texts
from tinysnitch.core.rules.path_pattern import (
    compile_pattern,
    covers_pattern,
    escape_pattern,
    literal_of,
    pattern_tokens,
)

MANY_STARS = ["/home/**/a/**/a/**/b", "/home/*a*a*a*b", "/home/**a*a*a*b"]
paths = st.text("/a*\\\n", max_size=8)
patterns = st.lists(st.sampled_from(["*", "**"]) | st.text("/a*\\\n", max_size=3).map(escape_pattern), max_size=6)
patterns = patterns.map(lambda parts: "".join(pattern_tokens("".join(parts))))


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("/opt/*/x", "/opt/a/x", True),
        ("/opt/*/x", "/opt/a/b/x", False),
        ("/opt/**/x", "/opt/a/b/x", True),
        ("/opt/*/a*c", "/opt/x/abc", True),
        ("/opt/*/a*c", "/opt/x/ab", False),
        ("/opt/*/*/*.x", "/opt/a/b/c.x", True),
        ("/opt/*/*/*.x", "/opt/a/b/c.y", False),
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
        ("/opt/*/a*c", "/opt/*/a*", False),
        (r"/opt/\*", "/opt/*", False),
        ("/opt/*", r"/opt/\*", True),
    ],
)
def test_what_is_narrower_in_the_place_of_a_star_is_covered(wide: str, narrow: str, is_covered: bool) -> None:
    assert covers_pattern(wide, narrow) is is_covered


# --- against trying every way -------------------------------------------------------------------------------


def takes(tokens: tuple[str, ...], path: str) -> bool:
    if not tokens:
        return not path
    star, *_ = tokens
    if star[0] != "*":
        return path.startswith(literal_of(star)) and takes(tokens[1:], path[len(literal_of(star)) :])
    ends = [end for end in range(len(path) + 1) if star == "**" or "/" not in path[:end]]
    return any(takes(tokens[1:], path[end:]) for end in ends)


@given(patterns, paths)
def test_a_path_is_taken_as_by_trying_every_way(pattern: str, path: str) -> None:
    is_taken = takes(pattern_tokens(pattern), path)
    assert bool(compile_pattern(pattern).fullmatch(path)) is is_taken
    assert covers_pattern(pattern, escape_pattern(path)) is is_taken


@given(patterns, patterns, patterns, paths)
def test_what_is_covered_takes_nothing_else(wide: str, narrow: str, narrowest: str, path: str) -> None:
    assert covers_pattern(wide, wide)
    if covers_pattern(wide, narrow):
        assert takes(pattern_tokens(wide), path) or not takes(pattern_tokens(narrow), path)
        assert covers_pattern(wide, narrowest) or not covers_pattern(narrow, narrowest)


@pytest.mark.parametrize("pattern", MANY_STARS)
@pytest.mark.parametrize("part", ["a", "a/"])
def test_no_path_makes_matching_slow(pattern: str, part: str) -> None:
    path = "/home/" + part * 4000 + "c"
    begun_s = time.process_time()
    assert not compile_pattern(pattern).fullmatch(path)
    assert not covers_pattern(pattern, path)
    assert time.process_time() - begun_s < 2


def test_long_paths_leave_nothing_in_memory() -> None:
    paths = [f"/home/{number}" + "x" * 60_000 for number in range(8)]
    assert covers_pattern("/home/**", paths[0])
    tracemalloc.start()
    for path in paths:
        covers_pattern("/home/**", path + "y")
    kept_bytes, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 100_000
