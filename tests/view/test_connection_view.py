from itertools import groupby
from typing import Any

import msgspec
import pytest
from hypothesis import given

from tests.core.model.any_text import SOME_TEXT
from tests.core.prompts.test_catalogue import INIT, KERNEL_ARGS, REPORT, worker
from tests.view.sample_prompts import CURL, IN, OUT, connection_of, prompt_of
from tinysnitch.core.model.connection import Asking, Connection, NameSource
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, AttributionSource, ProgramFile
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, RemoteScope
from tinysnitch.view.connection_view import (
    present_past,
    present_sentence,
    present_title,
    present_warnings,
    present_where,
    present_who,
)
from tinysnitch.view.lookup import NO_LOOKUP, DesktopEntry, FindFile, Lookup
from tinysnitch.view.prompt_events import QuestionOpened
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import present_prompt
from tinysnitch.view.span import Line, Span, Weight, text_of

CHOICE = Choice(verdict=Verdict.ALLOW)
VISITOR = msgspec.structs.replace(connection_of(flow=IN), asking=Asking(is_by_address=True))


def present_connection(
    connection: Connection, choice: Choice, lookup: Lookup = NO_LOOKUP, *, is_full: bool = False
) -> tuple[Line, ...]:
    return (*present_who(connection, choice, lookup, is_full=is_full), *present_where(connection, choice))


def texts(
    connection: Connection, find_file: FindFile = NO_LOOKUP.find_file, *, is_full: bool = False, **changes: object
) -> dict[str, str]:
    choice = msgspec.structs.replace(CHOICE, **changes)
    lines = present_connection(connection, choice, Lookup({1000: "alice"}.get, find_file), is_full=is_full)
    return {line.label: line.text for line in lines}


def covered(connection: Connection, **changes: object) -> set[str]:
    lines = present_connection(connection, msgspec.structs.replace(CHOICE, **changes))
    return {text for line in lines for text in covered_parts(line.spans)}


def covered_parts(spans: tuple[Span, ...]) -> list[str]:
    """The covered texts, those that stand next to each other as one."""
    runs = groupby(spans, lambda span: span.is_covered)
    return [text_of(tuple(run)) for is_covered, run in runs if is_covered]


def test_all_that_is_known_is_shown() -> None:
    script = msgspec.structs.replace(CURL, run_by="/usr/bin/python3.13")
    connection = msgspec.structs.replace(connection_of(script), other_names=("cdn.test",), interface="eth0")
    assert texts(connection) == {
        "path": "/usr/bin/curl",
        "arguments": "-s https://shop.test/",
        "run by": "/usr/bin/python3.13",
        "parents": "/usr/bin/bash, /usr/sbin/sshd, /usr/lib/systemd/systemd",
        "user": "alice",
        "belongs to": "unit:ssh.service",
        "name": "shop.test",
        "address": "10.0.0.9",
        "also named": "cdn.test",
        "port": "443 https, tcp",
        "direction": "outbound, on eth0",
    }


@pytest.mark.parametrize(
    ("connection", "title"),
    [
        (connection_of(), "curl wants to reach shop.test"),
        (connection_of(name=None), "curl wants to reach 10.0.0.9"),
        (connection_of(flow=IN, name=None), "ssh visitor 10.0.0.5 wants to reach curl"),
        (connection_of(flow=IN), "ssh visitor shop.test wants to reach curl"),
        (
            connection_of(flow=msgspec.structs.replace(IN, local_port=50001), name=None),
            "visitor 10.0.0.5 wants to reach curl",
        ),
        (VISITOR, "ssh visitor 10.0.0.5 wants to reach curl"),
        (msgspec.structs.replace(VISITOR, flow=OUT), "curl wants to reach shop.test"),
        (Connection(flow=IN, attribution=KERNEL), "ssh visitor 10.0.0.5 wants to reach the kernel"),
        (Connection(flow=IN, attribution=UNKNOWN), "ssh visitor 10.0.0.5 wants to reach an unknown program"),
        (
            connection_of(msgspec.structs.replace(CURL, program="/tmp/curl wants to reach good.test")),
            "'curl wants to reach good.test' wants to reach shop.test",
        ),
        (
            connection_of(msgspec.structs.replace(CURL, program="/tmp/x' wants to reach good.test, and 'y")),
            r"$'x\' wants to reach good.test, and \'y' wants to reach shop.test",
        ),
        (connection_of(msgspec.structs.replace(CURL, program="memfd:x")), "memfd:x wants to reach shop.test"),
        (connection_of(msgspec.structs.replace(CURL, args=("10.0.0.9",))), "curl wants to reach 10.0.0.9"),
    ],
)
def test_the_title_says_who_and_where(connection: Connection, title: str) -> None:
    assert present_title(connection) == title


@pytest.mark.parametrize(
    ("connection", "strong"),
    [
        (connection_of(name="www.shop.co.uk"), ["curl", "shop.co.uk"]),
        (connection_of(name="shop.test.evil.test"), ["curl", "evil.test"]),
        (connection_of(name="evil-shop.test"), ["curl", "evil-shop.test"]),
        (connection_of(name="printer"), ["curl", "printer"]),
        (connection_of(name=None), ["curl", "10.0.0.9"]),
        (connection_of(flow=IN, name=None), ["10.0.0.5", "curl"]),
        (msgspec.structs.replace(connection_of(), asked_name="a.b.test"), ["curl", "shop.test", "b.test"]),
    ],
)
def test_the_sentence_rests_on_the_program_and_the_registrable_domain(
    connection: Connection, strong: list[str]
) -> None:
    assert [span.text for span in present_sentence(connection) if span.weight is Weight.STRONG] == strong


def test_a_program_of_several_names_is_called_by_the_one_it_was_started_by_and_by_its_own() -> None:
    """The person may know the program by either name; the rule is for its file, under any name."""
    process = msgspec.structs.replace(CURL, program="/usr/bin/redis-check-rdb", started_as="/usr/bin/redis-server")
    connection = connection_of(process)
    assert present_title(connection) == "redis-server (redis-check-rdb) wants to reach shop.test"
    shown = texts(connection)
    assert (shown["path"], shown["started as"]) == ("/usr/bin/redis-check-rdb", "/usr/bin/redis-server")
    assert "/usr/bin/redis-server" not in covered(connection)


def test_the_name_it_was_started_by_cannot_pass_for_a_sentence() -> None:
    process = msgspec.structs.replace(CURL, started_as="/opt/x wants to reach a.test, and y\n")
    title = present_title(connection_of(process))
    assert title == r"$'x wants to reach a.test, and y\n' (curl) wants to reach shop.test"
    assert texts(connection_of(process))["started as"] == r"/opt/x wants to reach a.test, and y\x0a"


def test_a_parent_that_is_called_like_two_is_one() -> None:
    process = msgspec.structs.replace(CURL, parents=("/tmp/x, /usr/bin/apt", "/usr/lib/systemd/systemd"))
    assert texts(connection_of(process))["parents"] == "'/tmp/x, /usr/bin/apt', /usr/lib/systemd/systemd"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"www.shop.co.uk", "443 https", "-s https://shop.test/"}),
        ({"remote": RemoteScope.DOMAIN}, {"shop.co.uk", "443 https", "-s https://shop.test/"}),
        ({"remote": RemoteScope.ANY}, {"443 https", "-s https://shop.test/"}),
        ({"any_port": True}, {"www.shop.co.uk", "-s https://shop.test/"}),
        ({"any_args": True}, {"www.shop.co.uk", "443 https"}),
    ],
)
def test_covered_is_what_the_rule_names(changes: dict[str, Any], expected: set[str]) -> None:
    always = {"/usr/bin/curl", "tcp", "outbound"}
    assert covered(connection_of(name="www.shop.co.uk"), **changes) == expected | always


def test_who_started_a_worker_is_covered_where_the_rule_names_it() -> None:
    asked = connection_of(worker(*KERNEL_ARGS))
    assert REPORT in covered(asked, any_args=True)
    assert REPORT not in covered(asked)
    assert texts(asked)["parents"] == f"{REPORT}, /usr/bin/bash, {INIT}"


def test_without_a_name_the_address_is_covered() -> None:
    assert "10.0.0.9" in covered(connection_of(name=None), remote=RemoteScope.DOMAIN)
    assert "10.0.0.9" not in covered(connection_of(name=None), remote=RemoteScope.ANY)


def test_what_is_asked_about_for_its_address_is_covered_by_that() -> None:
    asked = msgspec.structs.replace(connection_of(), asking=Asking(is_by_address=True))
    assert "10.0.0.9" in covered(asked)
    assert "shop.test" not in covered(asked)
    assert "shop.test" in covered(asked, remote=RemoteScope.DOMAIN)


def test_where_all_of_the_link_is_covered_no_machine_of_it_is() -> None:
    asked = msgspec.structs.replace(connection_of(name="printer.local"), is_lan_traffic=True)
    assert not covered(asked, remote=RemoteScope.DOMAIN) & {"10.0.0.9", "printer.local", "local"}
    assert "printer.local" in covered(asked)


def test_inbound_shows_our_port() -> None:
    assert texts(connection_of(flow=IN, name=None))["port"] == "22 ssh, tcp"


def test_what_has_no_process_is_named_by_its_word() -> None:
    connection = Connection(flow=msgspec.structs.replace(IN, protocol=1), attribution=UNKNOWN)
    assert texts(connection) == {
        "program": "unknown",
        "address": "10.0.0.5",
        "protocol": "icmp",
        "direction": "inbound",
    }


@pytest.mark.parametrize(
    ("file", "is_full", "shown"),
    [
        (None, False, {"package": "…"}),
        (ProgramFile(), True, {}),
        (ProgramFile("curl\x1b", "ab"), False, {"package": "curl\\x1b"}),
        (ProgramFile("curl", "ab"), True, {"package": "curl", "sha256": "ab"}),
        (ProgramFile("", "ab"), False, {"package": "none owns this file", "sha256": "ab"}),
        (ProgramFile(None, "ab"), False, {"sha256": "ab"}),
    ],
)
def test_what_is_known_of_the_file_is_shown(file: ProgramFile | None, is_full: bool, shown: dict[str, str]) -> None:
    found = texts(connection_of(), lambda _process: file, is_full=is_full)
    assert {label: text for label, text in found.items() if label in ("package", "sha256")} == shown


def test_the_digest_is_of_the_interpreter_where_a_script_runs_and_the_rules_own_counts() -> None:
    script = msgspec.structs.replace(
        CURL, program="/opt/a.py", executable="/usr/bin/python3.13", run_by="/usr/bin/python3.13", sha256="cd"
    )
    assert texts(connection_of(script), lambda _process: ProgramFile("", "ab"))["sha256"] == "cd of python3.13"


def test_a_program_that_has_ended_is_marked() -> None:
    lookup = Lookup(has_ended=lambda process: process.pid == CURL.pid)
    path = present_connection(connection_of(), CHOICE, lookup)[0]
    assert (path.label, path.text) == ("path", "/usr/bin/curl (has ended)")
    assert [span.text for span in path.spans if span.is_covered] == ["/usr/bin/curl"]


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (("arguments were cut",), "arguments were cut"),
        (("arguments could not be read",), "arguments could not be read"),
        ((), "the arguments were too long to capture"),
    ],
)
def test_that_arguments_are_incomplete_is_said_once_with_what_follows(own: tuple[str, ...], problem: str) -> None:
    process = msgspec.structs.replace(CURL, warnings=(*own, "deleted file"), are_args_complete=False)
    assert present_warnings(connection_of(process)) == (
        "deleted file",
        f"{problem}: a rule can only be for any arguments",
    )


def test_warnings_tell_what_is_odd() -> None:
    process = msgspec.structs.replace(CURL, warnings=("deleted file\x1b",))
    attribution = Attribution(AttributionSource.PROCFS, process)
    connection = Connection(flow=IN, attribution=attribution, name="a.test", other_names=("b.test",))
    warnings = present_warnings(connection)
    assert warnings[0] == "deleted file\\x1b"
    assert [word for word in ("/proc", "guess") if word not in " ".join(warnings)] == []
    assert present_warnings(connection_of()) == ()


def test_a_name_that_the_program_asked_for_is_no_guess() -> None:
    connection = msgspec.structs.replace(connection_of(), other_names=("b.test",))
    assert present_warnings(connection) == ("the name is a guess: other names have the same address",)
    assert present_warnings(msgspec.structs.replace(connection, is_name_sure=True)) == ()


@given(SOME_TEXT, SOME_TEXT, SOME_TEXT)
def test_hostile_text_never_reaches_the_screen_raw(program: str, arg: str, name: str) -> None:
    process = msgspec.structs.replace(CURL, program=program, args=(arg,), run_by=arg, parents=(arg,), owners=(arg,))
    connection = msgspec.structs.replace(connection_of(process, name=name), other_names=(arg,), interface=arg)
    shown = [present_title(connection), *texts(connection).values(), *present_warnings(connection)]
    assert all(text.isprintable() for text in shown)


def test_the_way_to_the_address_and_what_a_question_asks_for() -> None:
    connection = msgspec.structs.replace(connection_of(), aliases=("edge.cdn.test",), asked_name="secret\x1b.test")
    found = texts(connection)
    assert (found["by way of"], found["asks for"]) == ("edge.cdn.test", "secret\\x1b.test")
    assert present_title(connection) == "curl wants to ask shop.test for secret\\x1b.test"


def test_a_name_of_the_link_is_marked() -> None:
    connection = msgspec.structs.replace(connection_of(), name_source=NameSource.MDNS)
    assert present_warnings(connection) == ("any machine on this network can claim this name (mDNS)",)


@pytest.mark.parametrize(("args", "shown"), [(("-s",), "-s …"), ((), " …")])
def test_arguments_that_are_not_complete_say_so(args: tuple[str, ...], shown: str) -> None:
    process = msgspec.structs.replace(CURL, args=args, are_args_complete=False)
    assert texts(connection_of(process))["arguments"] == shown


def test_a_secret_is_shown_whole_while_the_rule_is_edited_or_where_the_arguments_are_what_runs() -> None:
    args = ("-H", "Authorization: Bearer 0mWk3Zq8TxLr5Vb1Nc7H")
    curl, shell = (
        connection_of(msgspec.structs.replace(CURL, program=path, args=args)) for path in (CURL.program, "/bin/sh")
    )
    assert texts(curl)["arguments"] == "-H 'Authorization: Bearer 0mWk…'"
    whole = "-H 'Authorization: Bearer 0mWk3Zq8TxLr5Vb1Nc7H'"
    assert texts(curl, is_full=True)["arguments"] == texts(shell)["arguments"] == whole


def test_the_name_on_the_desktop_stands_beside_the_path() -> None:
    lookup = Lookup(find_entry=lambda process: DesktopEntry("Web\nBrowser", "browser") if process == CURL else None)
    lines = [(line.label, line.text) for line in present_who(connection_of(), CHOICE, lookup)]
    assert lines[:2] == [("path", "/usr/bin/curl"), ("known as", r"Web\x0aBrowser")]
    state = PromptState(0.0)
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    assert [present_prompt(state, 1.0, each).icon for each in (lookup, NO_LOOKUP)] == ["browser", ""]


@pytest.mark.parametrize(
    ("past", "told"),
    [
        (Past(domain="shop.test"), "first time"),
        (Past(domain="shop.test", other="/usr/bin/git", other_allowed=1412), "first time; git did, 1,412 times"),
        (Past(domain="shop.test", denied=3), "denied 3 times before"),
        (Past(domain="shop.test", denied=1, other="/bin/git", other_allowed=1), "denied once before; git did, once"),
        (Past(domain="shop.test", allowed=41, denied=2, other="/bin/git"), "allowed 41 times, denied twice before"),
        (Past(domain="10.0.0.9"), "first time"),
        (Past(domain="test"), "first time (all of test)"),
        (Past(domain="shop.test", other="/tmp/curl", other_allowed=2), "first time; /tmp/curl did, twice"),
        (
            Past(domain="a\x1b", other="/tmp/\x1b[2J", other_allowed=2),
            "first time; \\x1b[2J did, twice (all of a\\x1b)",
        ),
    ],
)
def test_the_past_is_one_line_without_what_could_steer_a_terminal(past: Past, told: str) -> None:
    (line,) = present_past(msgspec.structs.replace(prompt_of(), past=past))
    assert (line.label, line.text) == ("history", told)


def test_of_a_visitor_no_other_program_is_told() -> None:
    past = Past(domain="10.0.0.5", other="/usr/bin/nginx", other_allowed=2)
    (line,) = present_past(msgspec.structs.replace(prompt_of(connection=VISITOR), past=past))
    assert line.text == "first time"
    assert present_past(prompt_of(connection=VISITOR)) == ()
