"""ufw's user.rules: what comes over, what does not, and what both say of connections."""

import pytest

from tests.core.imports.judged import verdicts
from tinysnitch.core.imports.group_lines import write_group
from tinysnitch.core.imports.ufw import parse_ufw
from tinysnitch.core.model.errors import LineError

USER_RULES = f"""\
*filter
:ufw-user-input - [0:0]
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 192.168.1.0/24 in
-A ufw-user-input -p tcp --dport 22 -s 192.168.1.0/24 -j ACCEPT

### tuple ### deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment={b"no SSH".hex()}

### tuple ### allow any 80,443 0.0.0.0/0 any 0.0.0.0/0 Nginx%20Full - in
### tuple ### allow_log udp 60000:61000 0.0.0.0/0 any 0.0.0.0/0 in_eth0
### tuple ### reject tcp 25 0.0.0.0/0 any 0.0.0.0/0 out
### tuple ### allow tcp 25 203.0.113.5 any 0.0.0.0/0 out
### tuple ### deny any any 198.51.100.0/24 any 0.0.0.0/0 out_eth0
### tuple ### limit tcp 23 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### route:allow tcp 80 10.0.0.0/8 any 0.0.0.0/0 in_eth0!out_eth1
### tuple ### allow tcp 8080 192.168.1.5 any 0.0.0.0/0 in
### tuple ### allow udp any 0.0.0.0/0 68 0.0.0.0/0 in
### tuple ### allow gre any 0.0.0.0/0 any 10.0.0.0/8 in
### tuple ### allow tcp 5432 0.0.0.0/0 any 10.0.0.7
### tuple ### allow tcp
### END RULES ###
COMMIT
"""


def lines() -> list[str]:
    return list(write_group("user.rules", parse_ufw("user.rules", USER_RULES)).lines)


def test_what_ours_can_say_comes_over() -> None:
    assert [line for line in lines() if line[0] != "#"] == [
        "allow 192.168.1.0/24 22 tcp-src  # line 5",
        "deny - 22 tcp-src  # line 8: no SSH; also over IPv6",
        "allow - 80,443 -src  # line 10; also over IPv6",
        "allow iface=eth0 - 60000-61000 udp-src  # line 11; also over IPv6",
        "deny - 25 tcp  # line 12; also over IPv6",
        "deny iface=eth0 198.51.100.0/24 - -  # line 14",
        "allow 10.0.0.0/8 - 47-src  # line 19",
        "allow 10.0.0.7 5432 tcp-src  # line 20",
    ]


def test_what_ours_cannot_say_is_told_with_why() -> None:
    assert [line for line in lines() if line[0] == "#"] == [
        "# from user.rules: 8 of 14 rules",
        "# not taken over: line 15: the action limit, a rate",
        "# not taken over: line 16: what this machine forwards",
        "# not taken over: line 17: 192.168.1.5, an address of this machine",
        "# not taken over: line 18: the port 68 that is sent from",
        "# not taken over: line 21: 2 words",
        "# not taken over: line 13: it never decided anything: line 12 went before it",
    ]


# There the first rule that matches decides; and here.
TABLE = [
    ("/usr/sbin/sshd <- /192.168.1.9 22 tcp", "allow", "allow"),
    ("/usr/sbin/sshd <- /203.0.113.9 22 tcp", "deny", "deny"),
    ("/usr/sbin/nginx <- /203.0.113.9 443 tcp", "allow", "allow"),
    ("/usr/sbin/nginx <- /203.0.113.9 443 udp", "allow", "allow"),
    ("/usr/bin/mosh <- /203.0.113.9 60001 udp iface=eth0", "allow", "allow"),
    ("/usr/bin/mosh <- /203.0.113.9 60001 udp iface=wlan0", "-", "-"),
    ("/usr/bin/mail -> /203.0.113.5 25 tcp", "deny", "deny"),  # the rule that allows it stands below
    ("/usr/bin/curl -> /198.51.100.9 443 tcp iface=eth0", "deny", "deny"),
    ("/usr/bin/curl -> /198.51.100.9 443 tcp iface=wg0", "-", "-"),
    ("/usr/sbin/postgres <- /10.0.0.7 5432 tcp", "allow", "allow"),
    ("/usr/sbin/postgres <- /10.0.0.8 5432 tcp", "-", "-"),
    ("kernel <- /10.0.0.8 - 47", "allow", "allow"),
]


def test_connections_are_judged_as_there() -> None:
    assert verdicts(lines(), [text for text, _there, _here in TABLE]) == {text: here for text, _, here in TABLE}
    assert all(there == here for _text, there, here in TABLE)


def test_the_first_rule_decides_there_also_if_it_allows_more() -> None:
    text = "### tuple ### allow tcp any 0.0.0.0/0 any 0.0.0.0/0 in\n"
    text += "### tuple ### deny any 22 0.0.0.0/0 any 10.0.0.0/8 in\n"
    group = write_group("x", parse_ufw("x", text))
    assert group.lines[1] == (
        "allow - - tcp-src  # line 1; also over IPv6; there before line 2; here they win where both match"
    )
    assert group.taken == 2


def test_what_is_no_such_file_is_an_error() -> None:
    with pytest.raises(LineError, match="x: not a file of ufw's rules") as refused:
        parse_ufw("x", "-A INPUT -j ACCEPT\n")
    assert "/etc/ufw/user.rules" in refused.value.hint
    assert parse_ufw("x", "### RULES ###\n") == []
