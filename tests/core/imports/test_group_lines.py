"""The lines of an imported group are rules whatever names hold, and their number is bounded in time."""

import pytest

from tinysnitch.core.imports import group_lines
from tinysnitch.core.imports.draft import Draft, name_word, quote_argument
from tinysnitch.core.imports.group_lines import write_group
from tinysnitch.core.imports.patterns import Gap, host_words, parse_pattern, path_words, plain_words
from tinysnitch.core.rules.note import note_of
from tinysnitch.core.rules.rule_line import parse_rules


def test_no_name_adds_a_line() -> None:
    hostile = "x\nallow - - -\x1b[31m\u202e"
    drafts = [Draft(name=hostile, verdict="deny", remotes=["lan"]), (hostile, hostile)]
    group = write_group(hostile, drafts)
    assert len("\n".join(group.lines).splitlines()) == len(group.lines) == 3
    rules, errors = parse_rules("\n".join(group.lines), "group")
    assert (len(rules), errors) == (1, [])
    assert note_of(group.lines[1]).startswith("x\\nallow - - -")


def test_so_many_rules_that_no_two_are_compared_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, dead = Draft(name="wide", verdict="deny"), Draft(name="dead", verdict="allow", ports=["1"], rank=1)
    assert write_group("x", [wide, dead]).taken == 1
    monkeypatch.setattr(group_lines, "MAX_PAIRS", 0)
    group = write_group("x", [wide, dead])
    assert group.taken == 2
    assert group.lines[1] == "deny - - -  # wide; too many rules to compare which of two wins"


def test_arguments_and_names_are_what_they_were() -> None:
    draft = Draft(name="a", verdict="allow", programs=["/bin/x"], args=("-", "()", "a b", "*", "#"))
    (rule,) = draft.rules()
    assert rule.args == ("-", "()", "a b", "*", "#")
    assert Draft(name="a", verdict="allow", programs=["/bin/x"], args=()).rules()[0].args == ()
    assert quote_argument("-x") == "-x"
    assert Draft(name="a", verdict="deny", remotes=[name_word("lan")]).rules()[0].remote.text == "lan"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"^github\.com$", ["'github.com'"]),
        (r"^(a|b)\.test$", ["'a.test'", "'b.test'"]),
        (r".*\.github.com$", ["*.github.com"]),
        (r"^(www\.)?shop\.test$", ["'www.shop.test'", "'shop.test'"]),
        (r"^(?:.*\.)?shop\.test$", ["*.shop.test"]),
    ],
)
def test_patterns_of_hosts(text: str, words: list[str]) -> None:
    assert host_words(text, []) == words


def test_how_words_differ_from_a_pattern_is_told() -> None:
    remarks: list[str] = []
    assert host_words(r".*\.github.com", remarks) == ["*.github.com"]
    assert remarks == ["there also longer names, since the pattern has no $ at its end", "also github.com itself"]
    remarks = []
    assert path_words("/opt/my app/.*", remarks) == ["'/opt/my app/'**"]
    assert remarks == ["there also as a part of other paths, since the pattern lacks ^ or $"]


def test_patterns_of_paths_and_plain_ones() -> None:
    assert path_words(r"^/usr/lib/python3\.[0-9]+/x$", []) == ["/usr/lib/python3.*/x"]
    assert path_words(r"^/opt/.+/[^/]*\.sh$", []) == ["/opt/**/*.sh"]
    assert plain_words("^555[1-3]$", "ports") == ["5551", "5552", "5553"]
    assert parse_pattern("^a.*$").rows == (("a", Gap.ANY),)
