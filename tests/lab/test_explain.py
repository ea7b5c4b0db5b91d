"""`explain` names the rule that would decide, and those that it beat, and why."""

import pytest

from tests.lab.lab import Lab

pytestmark = [pytest.mark.privileged]

RULES = """\
deny - - -
allow github.com 443 tcp /usr/bin/git
deny *.doubleclick.net - -
allow - - - /usr/bin/firefox
"""


def test_the_narrower_rule_wins(lab: Lab) -> None:
    told = lab.start_daemon(RULES).cli("explain", "/usr/bin/git", "github.com", "443", "tcp")
    assert told.returncode == 0, told.stderr
    winner, beaten = told.stdout.split("\n", 1)
    assert winner.startswith("allow")
    assert "allow github.com 443 tcp /usr/bin/git" in " ".join(told.stdout.split())
    assert "deny - - -" in " ".join(beaten.split())
    assert "narrower" in beaten


def test_deny_wins_when_neither_is_narrower(lab: Lab) -> None:
    told = lab.start_daemon(RULES).cli("explain", "/usr/bin/firefox", "ads.doubleclick.net", "443", "tcp")
    assert told.stdout.startswith("deny")
    assert "deny *.doubleclick.net - -" in told.stdout
    assert "allow - - - /usr/bin/firefox" in told.stdout


def test_nothing_matches_is_asked(lab: Lab) -> None:
    told = lab.start_daemon("").cli("explain", "/usr/bin/git", "github.com", "443", "tcp")
    assert told.stdout.startswith("ask")
