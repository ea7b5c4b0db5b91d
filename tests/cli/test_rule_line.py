import shlex

import pytest

from tests.cli.running import Command
from tests.cli.test_rules import RULE, change
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.rule_line import join_words
from tinysnitch.core.rules.text import parse_rule


@pytest.mark.parametrize(
    "arguments", ["-s --compressed 'a b'", "-- x", "--socket /tmp/x", "--help", "--socket=x --json -", "x --socket"]
)
def test_what_looks_like_an_option_of_ours_belongs_to_the_rule(
    running: RunningServer, command: Command, arguments: str
) -> None:
    line = [*RULE.split(), *shlex.split(arguments)]
    for words in (line, ["--", *line]):
        assert change(running, command, "add", *words)[:2] == (0, f"{RULE} {arguments}\n")
    assert change(running, command, "remove", *line) == (0, f"{RULE} {arguments}\n", "")
    assert running.handler.rules == [RULE]


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_options_of_ours_stand_before_the_rule(running: RunningServer, command: Command, verb: str) -> None:
    assert command.plain("rules", verb, "--help").out.startswith(f"Usage: tinysnitch rules {verb} [OPTIONS] LINE...\n")
    assert command.plain("rules", "--socket", str(running.path), verb, *RULE.split()).out == f"{RULE}\n"
    code, _out, err = command.plain("rules", verb, "--sokcet", "x", *RULE.split())
    assert (code, err.startswith("tinysnitch: error: no such option '--sokcet'")) == (2, True)


def test_behind_a_rule_that_is_one_word_options_of_ours_may_stand(running: RunningServer, command: Command) -> None:
    for before in ([], ["--socket", str(running.path)], [f"--socket={running.path}"]):
        assert command("rules", "add", *before, RULE).out == f"{RULE}\n"


@pytest.mark.parametrize(
    "line", [RULE, "allow *.google.com - -", "deny - - - /opt/*/bin", "allow - - - /usr/bin/a 'b c' $'d\\n' ''"]
)
def test_words_make_the_line_that_the_shell_took_apart(line: str) -> None:
    rule = parse_rule(line)
    words = [*line.split()[:5], *(rule.args or ())]
    assert parse_rule(join_words(tuple(words))) == rule
    assert join_words((line,)) == line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("allow", "until=2030-01-01 10:00", "-", "-", "-"), "allow until='2030-01-01 10:00' - - -"),
        (("deny", "user=a'b", "parent=/my app", "-", "-", "-"), r"deny user=$'a\'b' parent='/my app' - - -"),
        (("allow", "-", "-", "-", "/a", "--x=y z", "a=b c"), "allow - - - /a --x='y z' a='b c'"),
        (("deny", "-", "-", "-", "/a", "()", "*", "$HOME", "#b", "\u2800"), r"deny - - - /a () * $HOME '#b' $'\u2800'"),
    ],
)
def test_what_the_shell_left_is_quoted_where_it_must_be(words: tuple[str, ...], line: str) -> None:
    assert join_words(words) == line
    assert parse_rule(line)
