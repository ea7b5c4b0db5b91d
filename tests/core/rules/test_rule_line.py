import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.rules.rule_strategies import HOSTILE, rules
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.quoting import split_words
from tinysnitch.core.rules.rule import Program, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.core.rules.rule_line import COLUMNS, VERDICT, Column, format_rule, parse_rule, parse_rules

GOOGLE = Rule(verdict=Verdict.ALLOW, remote=Remote(RemoteKind.NAME, "google.com"), ports=((443, 443),), protocol=6)
CURL = replace(GOOGLE, program=Program(ProgramKind.PATH, "/usr/bin/curl"))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("allow google.com 443 tcp", GOOGLE),
        ("allow google.com 443 tcp - -", GOOGLE),
        ("allow google.com 443 tcp /usr/bin/curl", CURL),
        ("allow google.com 443 tcp /usr/bin/curl -", CURL),
        ("allow google.com 443 tcp /usr/bin/curl google.com", replace(CURL, args=("google.com",))),
        ("allow google.com 443 tcp /usr/bin/curl ()", replace(CURL, args=())),
        ("allow google.com 443 tcp /usr/bin/curl ''", replace(CURL, args=("",))),
        ("allow google.com 443 tcp /usr/bin/curl '-'", replace(CURL, args=("-",))),
        ("allow google.com 443 tcp /usr/bin/curl -o - '()'", replace(CURL, args=("-o", "-", "()"))),
        ("\tallow  google.com\t443 tcp # why", GOOGLE),
        ("allow user=alice google.com 443 tcp", replace(GOOGLE, user="alice")),
        ("deny * * -src", Rule(verdict=Verdict.DENY, direction=Direction.INBOUND)),
    ],
)
def test_parse_rule(line: str, rule: Rule) -> None:
    assert parse_rule(line) == rule


FILE_OF_2019 = """\
# four columns
allow google.com 443 tcp
deny *.doubleclick.net - -   # ads

allow google.com 443 tcp /usr/bin/curl google.com
deny *.doubleclick.net - - - -
allow 192.168.1.0/24 8000 tcp-src /usr/bin/python3 -m http.server
allow 10.1.*.* * udp\r
"""


def test_the_files_of_2019_load() -> None:
    found, errors = parse_rules(FILE_OF_2019, "old.rules")
    assert errors == []
    assert [format_rule(rule) for rule in found] == [
        "allow google.com 443 tcp",
        "deny *.doubleclick.net - -",
        "allow google.com 443 tcp /usr/bin/curl google.com",
        "deny *.doubleclick.net - -",
        "allow 192.168.1.0/24 8000 tcp-src /usr/bin/python3 -m http.server",
        "allow 10.1.0.0/16 - udp",
    ]


def test_a_bad_line_is_an_error_with_its_place_and_the_others_load() -> None:
    found, errors = parse_rules("\ufeffallow a - -\n\nallo b - -\nask c - -", "/etc/x.rules")
    assert [format_rule(rule) for rule in found] == ["allow a - -", "ask c - -"]
    assert [str(error) for error in errors] == ["/etc/x.rules:3:1: not a verdict"]
    assert errors[0].hint == "did you mean 'allow'?"


def test_an_error_holds_nothing_of_the_parser() -> None:
    """As a list of hosts put in the place of the rules has an error in each of its 100,000 lines: that was 330 MB."""
    _found, [error] = parse_rules("allo a - -", "x")
    assert (error.__traceback__, error.__context__) == (None, None)


@pytest.mark.parametrize(
    ("line", "column", "problem", "hint"),
    [
        ("", 1, "the rule is empty", "write verdict"),
        (" # nothing", 1, "the rule is empty", "write verdict"),
        ("allow a - -\nallow b - -", 1, "a rule is one line", "write verdict"),
        ("Allow a - -", 1, "not a verdict", "did you mean 'allow'?"),
        ("xyzzy a - -", 1, "not a verdict", "write one of: allow deny ask"),
        ("allow", 6, "a remote, a port and a protocol are missing", "write verdict"),
        ("allow user=a x 443", 19, "a protocol is missing", "write verdict"),
        ("allow usr=a x - -", 7, "not a qualifier", "did you mean 'user'?"),
        ("allow uid=1000 x - -", 7, "not a qualifier", "write one of: user"),
        ("allow x 443 tcp user=a /bin/x", 17, "user= stands before the remote", "write allow user=... remote port"),
        ("deny x until=2030-01-01 443 tcp", 8, "until= stands before the remote", "write deny until=... remote"),
        ("allow user=a user=b x - -", 14, "user= is given twice", ""),
        ("allow user= x - -", 7, "user= has no value", "write user=alice"),
        ("deny user=a parent=/opt/* x - -", 13, "parent= takes no pattern", "write one whole value"),
        ("deny iface='wg'* x - -", 6, "iface= takes no pattern", "write one whole value"),
        ("allow user=4294967295 x - -", 7, "not a user", "write a name"),
        ("allow parent=make x - -", 7, "not an absolute path", "write parent="),
        ("allow sha256=12 x - -", 7, "not a SHA-256 sum", "write its 64"),
        ("allow iface=0123456789abcdef x - -", 7, "not a network interface", "its name has at most 15"),
        ("allow until=soon x - -", 7, "not a time", "write until="),
        ("allow until=9999-12-31T23:59:59.5Z x - -", 7, "not a time", "write until="),
        ("allow x 0 tcp", 9, "not a port", "write -, 443"),
        ("allow x https tcp", 9, "not a port", "did you mean 443?"),
        ("allow x web tcp", 9, "not a port", "write -, 443"),
        ("allow x 90-80 tcp", 9, "the range ends before it begins", "did you mean 80-90?"),
        ("allow x 443 tpc", 13, "not a protocol", "did you mean 'tcp'?"),
        ("allow x 443 tcp,udp", 13, "not a single protocol", "write a rule for each, or - for any"),
        ("allow x 443 tcp/udp", 13, "not a single protocol", "write a rule for each, or - for any"),
        ("allow x 443 256", 13, "not a protocol", "write one of: - tcp"),
        ("allow x 443 icmp", 9, "a port for a protocol without ports", "only tcp and udp"),
        ("allow x - - curl", 13, "a program is an absolute path", "write /usr/bin/curl"),
        ("allow x - - ~/bin/x", 13, "a program is an absolute path", "write the whole path, from / on, or -"),
        ("allow x - - $HOME/x", 13, "a program is an absolute path", "write the whole path, from / on, or -"),
        ("allow x - - kernl", 13, "a program is an absolute path", "did you mean 'kernel'?"),
        ("allow x - - unit:", 13, "unit: has no name behind it", "write unit:NAME"),
        ("allow x - - 'kernel'", 13, "a program is an absolute path", ""),
        ("allow x - - /bin/x 'a", 20, "the quote ' is not closed", ""),
        ("allow x$ - -", 7, "not a name, address or network", "write a name"),
        ("allow 1.2.3 - -", 7, "not an address", ""),
        ("allow /bin/x a.b 443 tcp", 7, "a remote is not a path", "write the program behind the protocol"),
        ("allow a.b:443 tcp", 7, "more than a name or address", ""),
        ("allow - 443/tcp", 9, "not a port", ""),
        ("allow .a.b - -", 7, "not a name, address or network", "did you mean *.a.b?"),
        ("allow *a.b - -", 7, "not a name, address or network", "did you mean *.a.b?"),
        ("allow\u00a0x - -", 1, "a blank that is not a plain space", "write a plain space instead"),
        ("allow x\u00a0443 tcp", 7, "a blank that is not a plain space", "write a plain space instead"),
        ("allow a.1 - -", 7, "not a name, address or network", ""),
        ("allow *.a_! - -", 7, "not a domain", "write *.example.com"),
        ("allow @ - -", 7, "not the name of a list", "write @NAME for the file NAME in /etc/"),
        ("allow @../x - -", 7, "not the name of a list", "write @NAME for the file NAME in /etc/"),
    ],
)
def test_parse_rule_tells_where_and_what_is_wrong(line: str, column: int, problem: str, hint: str) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse_rule(line)
    error = caught.value
    assert (error.source, error.line, error.column, error.problem) == ("<argument>", 1, column, problem)
    assert error.hint.startswith(hint)


@given(rules())
def test_a_rule_reads_back_from_its_line(rule: Rule) -> None:
    line = format_rule(rule)
    assert parse_rule(line) == rule
    assert parse_rules(f"# x\n{line}\n", "x") == ([rule], [])
    assert parse_rules(f"\n{line}", "x") == ([rule], [])
    assert format_rule(parse_rule(line)) == line


BARE_WORDS = st.sampled_from(["-", "()", "*", "a.test", "443", "tcp", "/bin/x", "/opt/*", "-m", "user=bob", "kernel"])


@given(st.lists(BARE_WORDS, min_size=3, max_size=8).map(lambda words: " ".join(("allow", *words))))
def test_a_line_of_plain_words_is_read_as_a_long_one_is(line: str) -> None:
    """Blanks at its end make a line too long for the quick way."""

    def read(text: str) -> Rule | str:
        try:
            return parse_rule(text)
        except RuleSyntaxError as error:
            return error.problem

    assert read(line) == read(line + " " * 512)


@given(rules())
def test_a_line_is_printable(rule: Rule) -> None:
    assert format_rule(rule).isprintable()


def test_the_line_does_not_tell_the_process_that_a_rule_is_bound_to() -> None:
    assert format_rule(replace(CURL, exec_id=7)) == format_rule(CURL)


@pytest.mark.parametrize("part", ["/" + "x" * 60_000, ",".join(map(str, range(10_001, 29_999, 2)))])
def test_long_lines_of_clients_leave_nothing_in_memory(part: str) -> None:
    lines = [
        f"allow - {number + 1},{part} tcp" if part[0] == "1" else f"allow - - - {part}{number}" for number in range(8)
    ]
    parse_rule(lines[0])
    tracemalloc.start()
    for line in lines:
        parse_rule(line)
    kept_bytes, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 200_000


words = st.sampled_from(
    [*HOSTILE, "allow", "a", "-", "*.b", "443", "tcp", "icmp", "/x", "user=", "until=1", "@", "9" * 5000]
)


@given(st.lists(words | st.text(max_size=8)).map(" ".join))
def test_parse_rule_raises_nothing_but_its_own_error(line: str) -> None:
    with suppress(RuleSyntaxError):
        parse_rule(line)


@given(st.text())
def test_parse_rules_raises_nothing(text: str) -> None:
    found, errors = parse_rules(text, "x")
    assert len(found) + len(errors) <= text.count("\n") + 1


@pytest.mark.parametrize("column", [VERDICT, *COLUMNS], ids=lambda column: column.name)
def test_each_form_takes_its_own_spelling(column: Column) -> None:
    for form in column.forms:
        assert form.parse(split_words(form.spelling)[0]) is not None, form.spelling
