"""A file of Little Snitch's rules: what comes over, what does not, and what both say of connections."""

import json

import pytest

from tests.core.imports.judged import verdicts
from tinysnitch.core.imports.group_lines import write_group
from tinysnitch.core.imports.lsrules import parse_lsrules
from tinysnitch.core.model.errors import LineError

GROUP = {
    "name": "mine",
    "description": "some of each",
    "rules": [
        {"action": "allow", "process": "/usr/bin/curl", "remote-hosts": "shop.test", "ports": "443", "protocol": "tcp"},
        {"action": "deny", "process": "any", "remote-domains": ["tracker.test", "ads.test"], "notes": "they follow me"},
        {"action": "allow", "process": "/usr/bin/ssh", "remote-addresses": "10.0.0.1-10.0.0.3, 10.1.0.0/16"},
        {"action": "allow", "process": "any", "remote": "local-net", "direction": "both", "protocol": "udp"},
        {"action": "allow", "process": "any", "remote": "dns-servers", "ports": "53, 853", "owner": "system"},
        {"action": "allow", "process": "any", "remote": "bonjour", "protocol": "udp"},
        {"action": "ask", "process": "/usr/bin/ssh", "remote": "any", "via": "/usr/bin/git"},
        {"action": "allow", "process": "/opt/brew/*/bin/x", "remote": "any", "ports": "8000-8100", "priority": "high"},
        {"action": "deny", "process": "/opt/brew/*/bin/x", "remote-hosts": "never.test", "ports": "8001"},
        {"action": "allow", "process": "any", "remote": "bpf"},
        {"action": "allow", "process": "identifier:ABC/test.app", "remote": "any"},
        {"action": "allow", "process": "any", "remote-hosts": "off.test", "disabled": True},
        {"action": "allow", "process": "any", "remote": "any", "remote-hosts": "x.test"},
        {"action": "allow", "process": "any", "remote": "any", "certificate": "x"},
        "rule",
    ],
    "denied-remote-domains": ["bad.test", "worse.test"],
    "denied-remote-hosts": ["www.evil.test"],
    "denied-remote-addresses": ["203.0.113.66", "2001:db8::/32"],
}


def lines() -> list[str]:
    return list(write_group("mine.lsrules", parse_lsrules("mine.lsrules", json.dumps(GROUP))).lines)


def test_what_ours_can_say_comes_over() -> None:
    assert [line for line in lines() if line[0] != "#"] == [
        "allow shop.test 443 tcp /usr/bin/curl  # rule 1",
        "deny *.tracker.test - -  # rule 2: they follow me",
        "deny *.ads.test - -  # rule 2: they follow me",
        "allow 10.0.0.1 - - /usr/bin/ssh  # rule 3",
        "allow 10.0.0.2/31 - - /usr/bin/ssh  # rule 3",
        "allow 10.1.0.0/16 - - /usr/bin/ssh  # rule 3",
        "allow lan - udp  # rule 4",
        "allow lan - udp-src  # rule 4",
        "allow user=root @resolvers 53,853 -  # rule 5",
        "allow 224.0.0.251 5353 udp  # rule 6",
        "allow ff02::fb 5353 udp  # rule 6",
        "ask parent=/usr/bin/git - - - /usr/bin/ssh  # rule 7",
        "allow - 8000-8100 - /opt/brew/*/bin/x  # rule 8; there before rule 2: they follow me and 3 more; here they "
        "win where both match",
        "deny *.bad.test - -  # denied-remote-domains",
        "deny *.worse.test - -  # denied-remote-domains",
        "deny www.evil.test - -  # denied-remote-hosts",
        "deny 203.0.113.66 - -  # denied-remote-addresses",
        "deny 2001:db8::/32 - -  # denied-remote-addresses",
    ]


def test_what_ours_cannot_say_is_told_with_why() -> None:
    assert [line for line in lines() if line[0] == "#"] == [
        "# from mine.lsrules: 13 of 20 rules",
        "# not taken over: rule 10: the remote bpf",
        "# not taken over: rule 11: the program identifier:ABC/test.app, which is no path",
        "# not taken over: rule 12: it is switched off",
        "# not taken over: rule 13: both remote and remote-hosts",
        "# not taken over: rule 14: the key certificate",
        "# not taken over: rule 15: it is no rule",
        "# not taken over: rule 9: it never decided anything: rule 8 went before it",
    ]


# There (the more specific rule, then denying; a high priority before both), and here.
TABLE = [
    ("/usr/bin/curl -> shop.test/192.0.2.7 443 tcp", "allow", "allow"),
    ("/usr/bin/curl -> www.shop.test/192.0.2.7 443 tcp", "-", "-"),
    ("/usr/bin/curl -> a.ads.test/192.0.2.8 443 tcp", "deny", "deny"),
    ("/usr/bin/curl -> ads.test/192.0.2.8 443 tcp", "deny", "deny"),
    ("/usr/bin/ssh -> /10.0.0.3 22 tcp", "allow", "allow"),
    ("/usr/bin/ssh -> /10.0.0.4 22 tcp", "-", "-"),
    ("/usr/bin/ssh -> /10.9.0.4 22 tcp parent=/usr/bin/git", "ask", "ask"),
    ("/usr/bin/sync <- /192.168.1.9 22000 udp", "allow", "allow"),
    ("/usr/bin/sync <- /192.168.1.9 22000 tcp", "-", "-"),
    ("/usr/sbin/resolved -> /192.168.1.1 853 tcp user=root", "allow", "allow"),
    ("/usr/bin/curl -> www.evil.test/192.0.2.9 80 tcp", "deny", "deny"),
    ("/usr/bin/curl -> /203.0.113.66 80 tcp", "deny", "deny"),
    ("/opt/brew/1/bin/x -> never.test/192.0.2.9 8001 tcp", "allow", "allow"),  # a rule of high priority
    ("/opt/brew/1/bin/x -> bad.test/192.0.2.9 8001 tcp", "allow", "deny"),  # told: it loses here
]


def test_connections_are_judged_as_there_but_where_the_comments_say_so() -> None:
    assert verdicts(lines(), [text for text, _there, _here in TABLE]) == {text: here for text, _, here in TABLE}


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"action": "block", "process": "any"}, "the action block"),
        ({"action": "allow", "process": "any", "direction": "sideways"}, "the direction sideways"),
        ({"action": "allow", "process": "any", "remote-addresses": "10.0.0.9-10.0.0.1"}, "the range 10.0.0.9-10.0.0.1"),
        ({"action": "allow", "process": "any", "remote-domains": "a.test 443 tcp /usr/bin/evil"}, "is not one word"),
        ({"action": "allow", "process": "any", "remote-hosts": "it's"}, "is no name of a host"),
        ({"action": "allow", "process": "any", "ports": "http"}, "not a port"),
        ({"action": "allow", "process": "any", "protocol": "warp"}, "not a protocol"),
        ({"action": "allow", "process": "any", "owner": "nobody"}, "the owner nobody"),
        ({"action": "allow", "process": "any", "remote-domains": [7]}, "remote-domains without any"),
        ({"action": "allow", "process": "any", "remote-hosts": [f"a{n}.test" for n in range(300)]}, "more than 256"),
    ],
)
def test_what_cannot_be_said_says_why(rule: dict[str, object], why: str) -> None:
    group = write_group("x", parse_lsrules("x", json.dumps({"rules": [rule]})))
    assert (group.taken, group.left) == (0, 1)
    assert why in group.lines[-1]


def test_what_was_for_one_user_of_another_machine_is_told() -> None:
    mine = {"action": "allow", "process": "any", "remote-hosts": "x.test", "owner": "me"}
    text = json.dumps({"rules": [mine]})
    assert write_group("x", parse_lsrules("x", text)).lines[1].endswith("there for one user: write user= to keep it so")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"rules": 7}', "[" * 100_000])
def test_what_is_no_such_file_is_an_error(text: str) -> None:
    with pytest.raises(LineError, match=r"not JSON|not a file|no list") as refused:
        parse_lsrules("x.lsrules", text)
    assert str(refused.value).startswith("x.lsrules:")
    assert "Little Snitch" in refused.value.hint
