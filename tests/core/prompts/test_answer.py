import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.test_ruleset import CURL, by
from tests.core.policy.test_ruleset import connection as plain_connection
from tests.core.prompts.catalogued import catalogued
from tests.core.prompts.test_catalogue import KERNEL_ARGS, worker
from tests.core.rules.rule_strategies import FACTS, connections, meeting_rules
from tinysnitch.core.model.connection import Asking, Connection
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import KERNEL, UNKNOWN
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import RemoteWords
from tinysnitch.core.policy.precedence import covers, resolve_rule
from tinysnitch.core.policy.ruleset import Ruleset
from tinysnitch.core.policy.user_rules import has_turnable_path
from tinysnitch.core.prompts.answer import (
    args_of_rule,
    bounded,
    can_be_remembered,
    ends_with,
    ends_with_container,
    holds_secret,
    is_by_address,
    is_by_link,
    is_rule_kept,
    leaves_secret_out,
    refusal_to_remember,
    rule_for_choice,
)
from tinysnitch.core.prompts.asking import asking_of
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.rules.rule import Program, ProgramKind, Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule

ALLOW = Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.FOREVER)
DENY = replace(ALLOW, verdict=Verdict.DENY)


def connection(name: str | None = "example.com", **fields: object) -> Connection:
    return catalogued(plain_connection(name, **fields))  # type: ignore[arg-type]


WWW = connection("www.bbc.co.uk")
NAMELESS = connection(None)
ON_LINK = replace(NAMELESS, is_lan_traffic=True)
FROM_LAN = replace(NAMELESS, is_from_lan=True)
WORKER = worker(*KERNEL_ARGS)


@pytest.mark.parametrize(
    ("asked", "choice", "line"),
    [
        (WWW, ALLOW, "allow www.bbc.co.uk 443 tcp /usr/bin/curl -s"),
        (WWW, replace(DENY, remote=RemoteScope.DOMAIN), "deny *.bbc.co.uk 443 tcp /usr/bin/curl -s"),
        (WWW, replace(ALLOW, remote=RemoteScope.ANY), "allow - 443 tcp /usr/bin/curl -s"),
        (WWW, replace(ALLOW, any_port=True), "allow www.bbc.co.uk - tcp /usr/bin/curl -s"),
        (WWW, replace(ALLOW, any_args=True), "allow www.bbc.co.uk 443 tcp /usr/bin/curl"),
        (connection("co.uk"), replace(ALLOW, remote=RemoteScope.DOMAIN), "allow co.uk 443 tcp /usr/bin/curl -s"),
        (NAMELESS, ALLOW, "allow 93.184.216.34 443 tcp /usr/bin/curl -s"),
        (NAMELESS, replace(ALLOW, remote=RemoteScope.DOMAIN), "allow 93.184.216.34 443 tcp /usr/bin/curl -s"),
        (ON_LINK, ALLOW, "allow 93.184.216.34 443 tcp /usr/bin/curl -s"),
        (ON_LINK, replace(DENY, remote=RemoteScope.DOMAIN), "deny lan 443 tcp /usr/bin/curl -s"),
        (
            replace(ON_LINK, name="a.local"),
            replace(ALLOW, remote=RemoteScope.DOMAIN),
            "allow lan 443 tcp /usr/bin/curl -s",
        ),
        (FROM_LAN, ALLOW, "allow 93.184.216.34 443 tcp /usr/bin/curl -s"),
        (FROM_LAN, replace(ALLOW, remote=RemoteScope.DOMAIN), "allow lan 443 tcp /usr/bin/curl -s"),
        (ON_LINK, replace(ALLOW, remote=RemoteScope.ANY), "allow - 443 tcp /usr/bin/curl -s"),
        (
            connection(None, port=8000, direction=Direction.INBOUND),
            ALLOW,
            "allow 93.184.216.34 8000 tcp-src /usr/bin/curl -s",
        ),
        (
            connection(None, remote="2001:db8::1", port=0, protocol=58),
            ALLOW,
            "allow 2001:db8::1 - icmp /usr/bin/curl -s",
        ),
        (connection(program=KERNEL), ALLOW, "allow example.com 443 tcp kernel"),
        (connection(program=UNKNOWN), DENY, "deny example.com 443 tcp unknown"),
        (connection(program=UNKNOWN), replace(DENY, is_for_user=True), "deny example.com 443 tcp unknown"),
        (connection(program=by(replace(CURL, args=()))), ALLOW, "allow example.com 443 tcp /usr/bin/curl ()"),
        (
            connection(program=by(replace(CURL, are_args_complete=False))),
            ALLOW,
            "allow example.com 443 tcp /usr/bin/curl",
        ),
        (
            connection(program=by(WORKER)),
            replace(ALLOW, any_args=True),
            "allow parent=/srv/report.py example.com 443 tcp /usr/bin/python3.13",
        ),
        (
            connection(program=by(replace(WORKER, are_args_complete=False))),
            ALLOW,
            "allow parent=/srv/report.py example.com 443 tcp /usr/bin/python3.13",
        ),
        (
            connection(program=by(WORKER)),
            ALLOW,
            f"allow example.com 443 tcp /usr/bin/python3.13 {' '.join(KERNEL_ARGS)}",
        ),
        (connection(program=by("/opt/a*/x")), DENY, "deny example.com 443 tcp '/opt/a*/x' -s"),
    ],
)
def test_rule_for_choice(asked: Connection, choice: Choice, line: str) -> None:
    assert format_rule(rule_for_choice(asked, choice, 0.0)) == line


@pytest.mark.parametrize(
    ("asked", "scope", "is_address"),
    [
        (NAMELESS, RemoteScope.NAME, True),
        (NAMELESS, RemoteScope.DOMAIN, True),
        (NAMELESS, RemoteScope.ANY, False),
        (WWW, RemoteScope.NAME, False),
        (ON_LINK, RemoteScope.NAME, True),
        (ON_LINK, RemoteScope.DOMAIN, False),
        (ON_LINK, RemoteScope.ANY, False),
    ],
)
def test_what_an_answer_speaks_of(asked: Connection, scope: RemoteScope, is_address: bool) -> None:
    assert is_by_address(asked, scope) is is_address
    assert is_by_link(asked, scope) is (asked is ON_LINK and scope is RemoteScope.DOMAIN)


@pytest.mark.parametrize(
    ("lifetime", "until_s", "exec_id"),
    [
        (Lifetime.ONCE, None, None),
        (Lifetime.ONE_MINUTE, 1061, None),
        (Lifetime.DAY, 87401, None),
        (Lifetime.QUIT, None, 7),
        (Lifetime.FOREVER, None, None),
    ],
)
def test_lifetimes(lifetime: Lifetime, until_s: int | None, exec_id: int | None) -> None:
    rule = rule_for_choice(WWW, replace(ALLOW, lifetime=lifetime), 1000.5)
    assert (rule.until_s, rule.exec_id) == (until_s, exec_id)


def test_what_has_no_process_cannot_quit() -> None:
    rule = rule_for_choice(connection(program=UNKNOWN), replace(ALLOW, lifetime=Lifetime.QUIT), 1000.0)
    assert (rule.until_s, rule.exec_id) == (1540, None)


def test_a_program_that_no_rule_can_name_is_not_remembered() -> None:
    replaced = connection(program=by(replace(CURL, is_host_file=False)))
    memfd = connection(program=by(replace(CURL, is_host_file=False, program="memfd:x")))
    assert (refusal_to_remember(replaced) or "").startswith("not the file at its path")
    assert refusal_to_remember(memfd) == "the program has no path"
    in_memory = connection(program=by(replace(CURL, is_host_file=False, executable="/memfd:x", program="/memfd:x")))
    assert refusal_to_remember(in_memory) == "the program has no file"
    assert not is_rule_kept(replaced, ALLOW)
    assert is_rule_kept(WWW, ALLOW)
    assert not is_rule_kept(WWW, replace(ALLOW, lifetime=Lifetime.ONCE))
    assert [can_be_remembered(asked) for asked in (replaced, memfd, WWW, connection(program=KERNEL))] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("owners", "line"),
    [
        (("flatpak:org.x.App",), "allow user=1000 example.com 443 tcp flatpak:org.x.App -s"),
        (("container:0123456789ab",), "allow example.com 443 tcp container:0123456789ab -s"),
        (
            ("container:user@1000.service/box", "unit:user@1000.service"),
            "allow example.com 443 tcp container:user@1000.service/box -s",
        ),
        (("unit:backup.service",), None),
    ],
)
def test_what_a_flatpak_or_a_container_has_brought_along_is_its_own(owners: tuple[str, ...], line: str | None) -> None:
    """A path would mean the host's file: a rule can name such a program only by its flatpak or container."""
    boxed = replace(CURL, uid=1000, owners=owners, is_host_file=False)
    asked = connection(program=by(boxed))
    assert can_be_remembered(asked) is (line is not None)
    if line is not None:
        rule = rule_for_choice(asked, ALLOW, 0.0)
        assert format_rule(rule) == line
        assert Ruleset([rule]).decide(asked, 0.0).verdict is Verdict.ALLOW
    of_the_host = connection(program=by(replace(boxed, is_host_file=True)))
    assert format_rule(rule_for_choice(of_the_host, ALLOW, 0.0)) == "allow example.com 443 tcp /usr/bin/curl -s"
    in_memory = connection(program=by(replace(boxed, executable="/memfd:x", program="/memfd:x")))
    assert not can_be_remembered(in_memory)


def test_an_answer_for_a_snap_outlives_its_revision() -> None:
    def of(path: str, *owners: str) -> Connection:
        return connection(program=by(replace(CURL, executable=path, program=path, owners=owners)))

    def line_for(asked: Connection) -> str:
        return format_rule(rule_for_choice(asked, ALLOW, 0.0))

    path = "/snap/firefox/42/firefox"
    assert line_for(of(path, "snap:firefox", "unit:x")) == "allow example.com 443 tcp snap:firefox -s"
    assert line_for(of(f"/var/lib/snapd{path}", "snap:firefox")) == "allow example.com 443 tcp snap:firefox -s"
    assert line_for(of("/usr/bin/curl", "snap:code")).split()[4] == "/usr/bin/curl"
    asked = replace(of(path, "snap:firefox"), asking=Asking(is_by_path=True))  # the rule that asks must cover it
    assert line_for(asked) == f"allow example.com 443 tcp {path} -s"


def test_an_answer_for_snapd_outlives_its_revision() -> None:
    """It restarts itself from a snap of its own, below its unit, and is updated by itself every few weeks."""
    path = "/snap/snapd/24505/usr/lib/snapd/snapd"
    snapd = replace(CURL, executable=path, program=path, args=(), owners=("unit:snapd.service",))
    asked = connection(program=by(snapd))
    rule = rule_for_choice(asked, ALLOW, 0.0)
    assert format_rule(rule) == "allow user=1000 example.com 443 tcp /snap/snapd/*/usr/lib/snapd/snapd ()"
    assert Ruleset([rule]).decide(asked, 0.0).verdict is Verdict.ALLOW
    for_user = rule_for_choice(asked, replace(ALLOW, is_for_user=True), 0.0)  # such a rule can have no pattern
    by_path = rule_for_choice(replace(asked, asking=Asking(is_by_path=True)), ALLOW, 0.0)
    assert for_user.program == by_path.program == Program(ProgramKind.PATH, path)


def test_an_answer_for_an_appimage_outlives_its_start() -> None:
    """Any user can have a file at a path that the pattern matches, so the rule is for this user alone."""

    def of(path: str, *args: str) -> Connection:
        return connection(program=by(replace(CURL, executable=path, program=path, args=args)))

    first, later = of("/tmp/.mount_JoplinAbC123/joplin", "-s"), of("/tmp/.mount_Joplinz9YxWv/joplin", "-s")
    rule = rule_for_choice(first, ALLOW, 0.0)
    assert format_rule(rule) == "allow user=1000 example.com 443 tcp /tmp/.mount_Joplin*/joplin -s"
    assert parse_rule(format_rule(rule)) == rule
    assert Ruleset([rule]).decide(later, 0.0).verdict is Verdict.ALLOW
    asked = replace(first, asking=Asking(is_by_path=True))  # the rule that asks must cover it
    assert format_rule(rule_for_choice(asked, ALLOW, 0.0)).endswith("tcp /tmp/.mount_JoplinAbC123/joplin -s")


choices = st.builds(
    Choice,
    verdict=st.sampled_from([Verdict.ALLOW, Verdict.DENY]),
    lifetime=st.sampled_from(Lifetime),
    remote=st.sampled_from(RemoteScope),
    any_port=st.booleans(),
    any_args=st.booleans(),
)


@pytest.mark.parametrize(
    ("asking", "choice", "line"),
    [
        (Asking(user="alice"), ALLOW, "allow user=alice www.bbc.co.uk 443 tcp /usr/bin/curl -s"),
        (
            Asking(user="alice"),
            replace(ALLOW, is_for_user=True),
            "allow user=1000 www.bbc.co.uk 443 tcp /usr/bin/curl -s",
        ),
        (Asking(parent="/m", iface="wg0"), ALLOW, "allow parent=/m iface=wg0 www.bbc.co.uk 443 tcp /usr/bin/curl -s"),
        (Asking(is_by_address=True), ALLOW, "allow 93.184.216.34 443 tcp /usr/bin/curl -s"),
        (
            Asking(is_by_address=True),
            replace(ALLOW, remote=RemoteScope.DOMAIN),
            "allow *.bbc.co.uk 443 tcp /usr/bin/curl -s",
        ),
        (Asking(is_by_address=True), replace(ALLOW, remote=RemoteScope.ANY), "allow - 443 tcp /usr/bin/curl -s"),
    ],
)
def test_the_rule_rests_on_what_it_was_asked_for(asking: Asking, choice: Choice, line: str) -> None:
    assert format_rule(rule_for_choice(replace(WWW, asking=asking), choice, 0.0)) == line


@pytest.mark.parametrize(
    ("asks", "parent"),
    [
        ("ask - - - /usr/bin/python3.13", "/srv/report.py"),
        ("ask parent=/usr/bin/bash - - -", "/usr/bin/bash"),
        ("ask parent=/srv/report.py - - -", "/srv/report.py"),
    ],
)
def test_an_answer_for_any_arguments_of_a_worker_beats_the_rule_that_asks(asks: str, parent: str) -> None:
    asked = connection(program=by(WORKER))
    rules = Ruleset([parse_rule(asks)])
    asking = asking_of(rules.decide(asked, 0.0).asking, asked.name, RemoteWords(FACTS))
    answer = rule_for_choice(replace(asked, asking=asking), replace(ALLOW, any_args=True), 0.0)
    rules.add(answer)
    assert (rules.decide(asked, 0.0).verdict, answer.parent) == (Verdict.ALLOW, parent)


def can_be_answered(rule: Rule) -> bool:
    """Otherwise the answer's rule would not be one for this name and program."""
    return rule.sha256 is None and rule.program.kind is not ProgramKind.OWNER and not rule.is_temporary


@given(connections.filter(can_be_remembered), meeting_rules.filter(can_be_answered))
def test_an_answer_decides_where_a_rule_has_it_asked(asked: Connection, rule: Rule) -> None:
    rules = Ruleset([replace(rule, verdict=Verdict.ASK)], FACTS)
    asking = rules.decide(asked, 0.0).asking
    answer = rule_for_choice(replace(asked, asking=asking_of(asking, asked.name, RemoteWords(FACTS))), ALLOW, 0.0)
    is_the_very_scope = covers(resolve_rule(answer, FACTS), resolve_rule(rule, FACTS), RemoteWords(FACTS))
    is_by_cut_args = rule.args is not None and answer.args is None
    rules.add(answer)
    if asking and not (is_the_very_scope or is_by_cut_args or has_turnable_path(answer, FACTS)):
        assert rules.decide(asked, 0.0).verdict is Verdict.ALLOW


@given(connections.filter(can_be_remembered), choices)
def test_the_rule_decides_the_connection_that_was_asked_about(asked: Connection, choice: Choice) -> None:
    rule = rule_for_choice(asked, choice, 1000.0)
    assert Ruleset([rule], FACTS).decide(asked, 1000.0).verdict is choice.verdict
    assert parse_rule(format_rule(rule)) == replace(rule, exec_id=None)


def test_a_rule_until_quit_ends_with_the_process_that_asked() -> None:
    process = WWW.attribution.process
    assert process is not None
    assert ends_with(WWW, rule_for_choice(WWW, replace(ALLOW, lifetime=Lifetime.QUIT), 0.0)) == process.key
    assert ends_with(WWW, rule_for_choice(WWW, ALLOW, 0.0)) is None


@pytest.mark.parametrize(
    ("owner", "ends"), [("container:0123456789ab", True), ("container:web", False), ("unit:web.service", False)]
)
def test_a_rule_for_a_containers_id_ends_with_the_container(owner: str, ends: bool) -> None:
    inside = replace(CURL, is_host_file=False, owners=(owner,))
    assert ends_with_container(connection(program=by(inside))) is ends
    assert not ends_with_container(connection(program=by(replace(inside, is_host_file=True))))


CODE = ("-c", "get('https://x/?token=hunter2hunter2')")
SECRETIVE = replace(WWW, attribution=by(replace(CURL, args=CODE)))


def test_a_rule_that_ends_with_its_process_names_no_secret() -> None:
    """It is for this one start, and so as narrow without the arguments."""
    until_quit = replace(ALLOW, lifetime=Lifetime.QUIT)
    rule = rule_for_choice(SECRETIVE, until_quit, 0.0)
    assert (format_rule(rule), rule.exec_id) == ("allow www.bbc.co.uk 443 tcp /usr/bin/curl", CURL.exec_id)
    assert args_of_rule(WWW, until_quit) == ("-s",)
    assert "hunter2" in format_rule(rule_for_choice(SECRETIVE, ALLOW, 0.0))


def test_a_choice_whose_rule_would_hold_a_secret_ends_with_its_process() -> None:
    any_args = replace(ALLOW, any_args=True)
    assert bounded(SECRETIVE, ALLOW) == replace(ALLOW, lifetime=Lifetime.QUIT)
    assert bounded(SECRETIVE, any_args) == any_args
    assert bounded(WWW, ALLOW) == ALLOW


def test_of_a_one_liner_that_was_cut_the_choice_ends_with_its_process() -> None:
    """No rule can name its arguments, and one for any would be for every one-liner."""
    cut = replace(CURL, program="/usr/bin/python3", executable="/usr/bin/python3", are_args_complete=False)
    assert bounded(connection(program=by(cut)), ALLOW) == replace(ALLOW, lifetime=Lifetime.QUIT)
    assert bounded(connection(program=by(replace(CURL, are_args_complete=False))), ALLOW) == ALLOW
    of_worker = connection(program=by(replace(WORKER, are_args_complete=False)))
    assert bounded(of_worker, replace(ALLOW, any_args=True)).lifetime is Lifetime.FOREVER


@pytest.mark.parametrize(
    ("asked", "choice", "holds", "leaves_out"),
    [
        (SECRETIVE, ALLOW, True, False),
        (SECRETIVE, replace(ALLOW, lifetime=Lifetime.QUIT), False, True),
        (SECRETIVE, replace(ALLOW, any_args=True), False, False),
        (WWW, ALLOW, False, False),
        (WWW, replace(ALLOW, lifetime=Lifetime.QUIT), False, False),
        (replace(WWW, attribution=KERNEL), ALLOW, False, False),
    ],
)
def test_whether_a_rule_holds_a_secret_or_leaves_one_out(
    asked: Connection, choice: Choice, holds: bool, leaves_out: bool
) -> None:
    assert (holds_secret(asked, choice), leaves_secret_out(asked, choice)) == (holds, leaves_out)
