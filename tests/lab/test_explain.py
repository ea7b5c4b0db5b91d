"""`tinysnitch explain` names the rule that would decide, the rules that it beats, and why."""

import hashlib
import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.lab.lab import Lab
from tests.lab.world import HOST4, WORLD4

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


def test_where_no_rule_matches_it_says_ask(lab: Lab) -> None:
    told = lab.start_daemon("").cli("explain", "/usr/bin/git", "github.com", "443", "tcp")
    assert told.stdout.startswith("ask")


CURL = shutil.which("curl") or "/usr/bin/curl"
SUM = hashlib.sha256(Path(CURL).read_bytes()).hexdigest()
BESIDE_EACH_OTHER = f"""\
allow @resolvers 53 -
ask - 80,443 tcp
allow *.test 80 tcp
deny shop.test - - /usr/bin/cur*
allow sha256={SUM} shop.test 80 tcp /usr/bin/curl  # narrower than the denial
deny sha256={"0" * 64} - - - /usr/bin/curl
deny user=nobody four.test - -
allow user=nobody four.test 80 tcp /usr/bin/curl -4 -sS http://four.test
deny 10.77.0.0/24 8000-8100 tcp
allow iface=eth0 10.0.0.0/8 8080 tcp /usr/bin/curl -
allow until=2031-01-01 {WORLD4} 443 tcp /usr/bin/**
deny localhost - -
"""


@pytest.mark.parametrize("user", [None, "nobody"])
def test_it_says_what_the_daemon_decides_for_the_same_connection(lab: Lab, user: str | None) -> None:
    daemon = lab.start_daemon(BESIDE_EACH_OTHER, "--timeout", "0", "--user", "nobody")
    urls = ["http://shop.test", "http://four.test", "http://four.test/x", "http://far.test", "http://n1.cdn.test"]
    urls += [f"http://{WORLD4}", f"https://{WORLD4}", f"http://{WORLD4}:8080", f"http://{HOST4}:81", "http://here.test"]
    for url in urls:
        lab.run(["curl", "-4", "-sS", url], user=user)
        made = daemon.wait_connection(protocol="tcp", args=["-4", "-sS", url])
        words = (f"/usr/bin/curl -4 -sS {url}", urlsplit(url).hostname or "", str(made["remote_port"]), "tcp")
        told = json.loads(daemon.cli("explain", "--json", *words, user=user).stdout)
        decided = (told["rule"] or "", told["verdict"])
        elsewhere = [other["rule"] for other in told["elsewhere"]]  # the connection goes by eth0
        assert made["rule"] in elsewhere or decided == (made["rule"] or "", made["verdict"]), (url, made, told)
