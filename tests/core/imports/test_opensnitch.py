"""A folder of OpenSnitch's rules with every operator: what comes over, what does not, and the verdicts of both."""

import json

import pytest

from tests.core.imports.judged import facts, verdicts
from tinysnitch.core.imports.draft import Draft
from tinysnitch.core.imports.group_lines import write_group
from tinysnitch.core.imports.opensnitch import parse_opensnitch
from tinysnitch.core.model.errors import LineError

Condition = tuple[str, str, str]


def rule(action: str, *conditions: Condition, **more: object) -> dict[str, object]:
    """As it is on disk; several conditions are an operator of the type `list`."""
    operators = [
        {"type": kind, "operand": operand, "data": data, "sensitive": False} for kind, operand, data in conditions
    ]
    operator = (
        {"type": "list", "operand": "list", "data": "", "list": operators} if len(operators) > 1 else operators[0]
    )
    return {"enabled": True, "precedence": False, "action": action, "duration": "always", "operator": operator, **more}


FOLDER = {
    "000-localhost": rule("allow", ("regexp", "dest.ip", r"^(127\.0\.0\.1|::1)$"), precedence=True),
    "001-chrome": rule("allow", ("simple", "process.path", "/opt/google/chrome/chrome"), precedence=True),
    "010-ads": rule("deny", ("lists", "lists.domains", "/etc/opensnitchd/lists/ads/")),
    "011-bad": rule("reject", ("lists", "lists.ips", "/etc/opensnitchd/lists/bad")),
    "012-nets": rule("deny", ("lists", "lists.nets", "/etc/opensnitchd/lists/nets")),
    "013-regexps": rule("deny", ("lists", "lists.domains_regexp", "/etc/opensnitchd/lists/re")),
    "014-md5": rule("deny", ("simple", "process.hash.md5", "0cc175b9c0f1b6a831c399e269772661")),
    "015-sha1": rule("deny", ("simple", "process.hash.sha1", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8")),
    "016-md5s": rule("deny", ("lists", "lists.hash.md5", "/etc/opensnitchd/lists/md5")),
    "020-curl": rule(
        "allow",
        ("simple", "process.path", "/usr/bin/curl"),
        ("simple", "dest.host", "Shop.test"),
        ("simple", "dest.port", "443"),
        ("simple", "protocol", "tcp"),
    ),
    "021-web": rule(
        "allow",
        ("regexp", "process.path", "^/usr/bin/(curl|wget)$"),
        ("regexp", "dest.host", r"^(.*\.)?example\.com$"),
        ("regexp", "dest.port", "^(80|443)$"),
        ("regexp", "protocol", "^tcp6?$"),
    ),
    "022-telnet": rule("reject", ("simple", "dest.port", "23")),
    "023-ntp": rule("allow", ("simple", "user.id", "0"), ("simple", "dest.port", "123"), ("simple", "protocol", "udp")),
    "024-backup": rule("allow", ("simple", "user.name", "backup"), ("network", "dest.network", "10.0.0.0/8")),
    "025-ssh": rule(
        "allow",
        ("simple", "process.path", "/usr/bin/ssh"),
        ("simple", "process.command", "ssh -p 2222 host"),
    ),
    "026-make": rule("allow", ("simple", "process.parent.path", "/usr/bin/make"), ("simple", "dest.host", "pypi.test")),
    "027-wg": rule("allow", ("simple", "iface.out", "wg0"), ("network", "dest.network", "LAN")),
    "028-in": rule("allow", ("simple", "iface.in", "eth0")),
    "029-range": rule("allow", ("range", "dest.port", "8000 - 8100"), ("simple", "process.path", "/usr/bin/python3")),
    "030-off": rule("allow", ("simple", "dest.port", "25"), enabled=False),
    "031-restart": rule("allow", ("simple", "dest.port", "25"), duration="until restart"),
    "032-never": rule("allow", ("simple", "process.path", "/usr/bin/telnet"), ("simple", "dest.port", "23")),
    "033-tool": rule("allow", ("regexp", "process.path", "^/opt/tool/[^/]+/bin/run$")),
    "034-tmp": rule("deny", ("regexp", "process.path", "^/tmp/.*")),
    "035-port": rule("allow", ("simple", "source.port", "68"), ("simple", "dest.port", "67")),
    "036-net": rule("allow", ("simple", "source.ip", "192.168.1.5")),
    "037-pid": rule("allow", ("simple", "process.id", "1")),
    "038-env": rule("allow", ("simple", "process.env.LD_PRELOAD", "/tmp/x.so")),
    "039-kernel": rule("allow", ("simple", "process.path", "Kernel connection"), ("simple", "protocol", "icmp")),
    "040-users": rule("deny", ("regexp", "user.id", "^(34|1234)$"), ("simple", "dest.port", "80")),
    "041-true": rule("allow", ("simple", "true", ""), ("simple", "dest.ip", "203.0.113.9")),
    "042-half": rule("allow", ("regexp", "dest.host", r"^a+(b|c)?\.test$")),
    "043-source": rule("allow", ("network", "source.network", "10.0.0.0/8")),
}


def read_folder(rules: dict[str, dict[str, object]]) -> list[Draft | tuple[str, str]]:
    return parse_opensnitch({f"/rules/{name}.json": json.dumps(rule) for name, rule in rules.items()})


def test_what_ours_can_say_comes_over() -> None:
    group = write_group("/rules", read_folder(FOLDER))
    assert [line for line in group.lines if line[0] != "#"] == [
        "allow 127.0.0.1 - -  # 000-localhost; there before 010-ads and 5 more; here they win where both match",
        "allow ::1 - -  # 000-localhost; there before 010-ads and 5 more; here they win where both match",
        "allow - - - /opt/google/chrome/chrome  # 001-chrome; there before 010-ads and 4 more; here they win "
        "where both match",
        "deny @ads - -  # 010-ads; join the files of /etc/opensnitchd/lists/ads/ in lists/ads; names below a listed "
        "one count too",
        "deny @bad - -  # 011-bad; join the files of /etc/opensnitchd/lists/bad in lists/bad",
        "deny @nets - -  # 012-nets; join the files of /etc/opensnitchd/lists/nets in lists/nets",
        "allow shop.test 443 tcp /usr/bin/curl  # 020-curl; also over IPv6",
        "allow *.example.com 80,443 tcp /usr/bin/curl  # 021-web",
        "allow *.example.com 80,443 tcp /usr/bin/wget  # 021-web",
        "deny - 23 -  # 022-telnet",
        "allow user=0 - 123 udp  # 023-ntp; also over IPv6",
        "allow user=backup 10.0.0.0/8 - -  # 024-backup",
        "allow - - - /usr/bin/ssh -p 2222 host  # 025-ssh; arguments with blanks in them must be quoted",
        "allow parent=/usr/bin/make pypi.test - -  # 026-make",
        *(
            f"allow iface=wg0 {network} - -  # 027-wg; the networks of LAN as OpenSnitch installs it"
            for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1", "fc00::/7")
        ),
        "allow - 8000-8100 - /usr/bin/python3  # 029-range; not for scripts, which go by their own path here",
        "allow - - - /opt/tool/*/bin/run  # 033-tool",
        "deny - - - /tmp/**  # 034-tmp",
        "allow - - icmp kernel  # 039-kernel; also over IPv6",
        "deny user=34 - 80 -  # 040-users",
        "deny user=1234 - 80 -  # 040-users",
        "allow 203.0.113.9 - -  # 041-true",
    ]


def test_what_ours_cannot_say_is_told_with_why() -> None:
    group = write_group("/rules", read_folder(FOLDER))
    assert group.lines[0] == "# from /rules: 19 of 33 rules"
    assert (group.taken, group.left) == (19, 14)
    assert [line for line in group.lines[1:] if line[0] == "#"] == [
        "# not taken over: 013-regexps: a list of patterns",
        "# not taken over: 014-md5: a file by its MD5 sum: write sha256=",
        "# not taken over: 015-sha1: a file by its SHA-1 sum: write sha256=",
        "# not taken over: 016-md5s: a list of MD5 sums",
        "# not taken over: 028-in: the interface that something comes in by: it judges what goes out",
        "# not taken over: 030-off: it is switched off",
        "# not taken over: 031-restart: it is for a time: 'until restart'",
        "# not taken over: 035-port: the port that a program sends from",
        "# not taken over: 036-net: an address of this machine",
        "# not taken over: 037-pid: one process by its pid",
        "# not taken over: 038-env: a variable of the process's environment",
        r"# not taken over: 042-half: the pattern '^a+(b|c)?\.test$'",
        "# not taken over: 043-source: an address of this machine",
        "# not taken over: 032-never: it never decided anything: 022-telnet went before it",
    ]


# What each says: there (FindFirstMatch and Match of OpenSnitch, worked out by hand), and here.
CURL, WGET, SSH, CHROME = "/usr/bin/curl", "/usr/bin/wget", "/usr/bin/ssh", "/opt/google/chrome/chrome"
TABLE = [
    (f"{CURL} -> shop.test/192.0.2.7 443 tcp", "allow", "allow"),
    (f"{CURL} -> shop.test/192.0.2.7 80 tcp", "-", "-"),
    (f"{CURL} -> www.shop.test/192.0.2.7 443 tcp", "-", "-"),
    (f"{WGET} -> example.com/192.0.2.8 80 tcp", "allow", "allow"),
    (f"{WGET} -> a.b.example.com/192.0.2.8 443 tcp", "allow", "allow"),
    (f"{WGET} -> notexample.com/192.0.2.8 443 tcp", "-", "-"),
    (f"{WGET} -> example.com/192.0.2.8 443 udp", "-", "-"),
    (f"{CURL} -> ads.test/192.0.2.9 443 tcp", "deny", "deny"),
    (f"{CURL} -> x.ads.test/192.0.2.9 443 tcp", "-", "deny"),  # told: names below a listed one count too
    (f"{CURL} -> /203.0.113.66 443 tcp", "deny", "deny"),
    (f"{CURL} -> /198.51.100.8 443 tcp", "deny", "deny"),
    (f"{CHROME} -> shop.test/192.0.2.7 443 tcp", "allow", "allow"),
    (f"{CHROME} -> ads.test/192.0.2.9 443 tcp", "allow", "deny"),  # told: the rule with precedence loses here
    ("/usr/bin/telnet -> old.test/192.0.2.7 23 tcp", "deny", "deny"),  # an allowing rule for it never counted
    ("/usr/bin/telnet -> /127.0.0.1 23 tcp", "allow", "deny"),
    ("/usr/sbin/ntpd -> time.test/192.0.2.3 123 udp user=root", "allow", "allow"),
    ("/usr/sbin/ntpd -> time.test/192.0.2.3 123 udp user=alice", "-", "-"),
    ("/usr/bin/rsync -> /10.9.8.7 873 tcp user=backup", "allow", "allow"),
    (f"{SSH} -p 2222 host -> host.test/192.0.2.4 2222 tcp", "allow", "allow"),
    (f"{SSH} -p 22 host -> host.test/192.0.2.4 22 tcp", "-", "-"),
    ("/usr/bin/pip -> pypi.test/192.0.2.5 443 tcp parent=/usr/bin/make", "allow", "allow"),
    ("/usr/bin/pip -> pypi.test/192.0.2.5 443 tcp", "-", "-"),
    (f"{CURL} -> /192.168.7.7 80 tcp iface=wg0", "allow", "allow"),
    (f"{CURL} -> /192.168.7.7 80 tcp iface=eth0", "-", "-"),
    ("/usr/bin/python3 -> /192.0.2.6 8050 tcp", "allow", "allow"),
    ("/opt/tool/1.2/bin/run -> /192.0.2.6 1 tcp", "allow", "allow"),
    ("/opt/tool/1/2/bin/run -> /192.0.2.6 1 tcp", "-", "-"),
    ("/tmp/x/y -> shop.test/192.0.2.7 443 tcp", "deny", "deny"),
    ("kernel -> /192.0.2.6 - icmp", "allow", "allow"),
    ("/usr/bin/rsync -> /10.9.8.7 80 tcp user=backup", "deny", "deny"),
    (f"{CURL} -> /203.0.113.9 443 tcp", "allow", "allow"),
]


def test_connections_are_judged_as_there_but_where_the_comments_say_so() -> None:
    lines = write_group("/rules", read_folder(FOLDER)).lines
    known = facts(ads="0.0.0.0 ads.test\n", bad="203.0.113.66\n", nets="198.51.100.0/24\n")
    assert verdicts(lines, [text for text, _there, _here in TABLE], known) == {text: here for text, _, here in TABLE}
    assert [text for text, there, here in TABLE if there != here and here == "allow"] == []


def test_what_an_older_version_wrote_is_read() -> None:
    """Before 1.6.2 a list was text, and a name could be missing."""
    within = json.dumps([{"type": "simple", "operand": "dest.port", "data": "53"}])
    old = {"action": "allow", "operator": {"type": "list", "operand": "list", "data": within}}
    (draft,) = parse_opensnitch({"/rules/dns.json": json.dumps(old)})
    assert isinstance(draft, Draft)
    assert (draft.name, draft.ports) == ("dns", ["53"])


@pytest.mark.parametrize(
    ("operator", "why"),
    [
        (("simple", "process.path", "curl"), "the program curl, which is no path"),
        (("simple", "dest.host", ""), "dest.host that is empty"),
        (("simple", "dest.ip", "1.2.3.4 443 tcp /usr/bin/evil"), "is not one word"),
        (("simple", "dest.ip", "1.2.3.400"), "not an address"),
        (("simple", "protocol", "sctp"), "the protocol sctp"),
        (("lists", "lists.domains", "/lists/my ads"), "is not one word"),
        (("simple", "process.command", "ssh host"), "a command line without the path"),
        (("complex", "dest.quota", "1"), "the operator complex on dest.quota"),
        (("regexp", "dest.host", "facebook"), "the pattern facebook of names"),
        (("regexp", "dest.port", "^80"), "has no ^ and $"),
        (("regexp", "process.path", ".*curl"), "does not begin with a folder"),
    ],
)
def test_what_cannot_be_said_says_why(operator: Condition, why: str) -> None:
    group = write_group("/rules", read_folder({"x": rule("allow", operator)}))
    assert (group.taken, group.left) == (0, 1)
    assert why in group.lines[-1]


def test_two_conditions_on_one_column_are_refused() -> None:
    ports = rule("allow", ("simple", "dest.port", "1"), ("simple", "dest.port", "2"))
    assert "two conditions on the same column" in write_group("/rules", read_folder({"x": ports})).lines[-1]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ('{"a": 1,\n x}', "/rules/x.json:2:2:", "not JSON"),
        ("[1]", "/rules/x.json:", "it has no operator"),
        ("[" * 100_000, "/rules/x.json:", "not JSON"),
        ('{"operator": []}', "/rules/x.json:", "it has no operator"),
    ],
)
def test_what_is_no_rule_of_it_is_an_error_with_its_place(text: str, place: str, problem: str) -> None:
    with pytest.raises(LineError, match=problem) as refused:
        parse_opensnitch({"/rules/x.json": text})
    assert str(refused.value).startswith(place)
    assert "/etc/opensnitchd/rules" in refused.value.hint
