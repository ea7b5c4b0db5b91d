"""A dozen commands of `make questions`: a person takes what is proposed, forever, and is not asked again."""

import pytest

from tests.lab.hour import TOKEN, Done, Hour, browse, pass_hour
from tests.lab.lab import Lab
from tests.lab.scripted_person import FOREVER, find_needless

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

LINES = """
curl -sk https://api.shop.test/items
curl -sk https://api.shop.test/items/7
curl -sk -H 'Authorization: Bearer {token}' https://api.shop.test/me
curl -s http://staging.shop.test:8080/health
dig +short @ns1.dns.test api.shop.test
ping -c1 build.corp.test
ssh -F {folder}/ssh_config build.corp.test uptime
ssh -F {folder}/ssh_config build.corp.test df -h /
git ls-remote -q http://code.test/lib.git
/usr/bin/python3 {folder}/report.py
/usr/bin/python3 {folder}/report.py --month 2
visitor: curl -s http://{host}:8000/
"""


def test_a_developer_is_not_asked_twice(lab: Lab) -> None:
    hour, lines = Hour(lab), LINES.strip().splitlines()
    daemon = lab.start_daemon(None)
    first = hour.play(daemon, FOREVER, lines)
    assert find_remarks(first) == []
    asked = [one for done in first for one in done.asked]
    assert find_needless(asked) == []
    assert len(asked) <= 8
    assert TOKEN not in daemon.read_rules()
    daemon = pass_hour(lab, daemon)
    again = hour.play(daemon, FOREVER, lines)
    assert find_remarks(again) == []
    assert [done.asked for done in again] == [[] for _ in lines]


def test_a_browser_asks_a_few_times_for_all_sites(lab: Lab) -> None:
    _daemon, asked = browse(lab, FOREVER, 4)
    assert len(asked) <= 8
    assert find_needless(asked) == []


def find_remarks(played: list[Done]) -> list[str]:
    """What failed, or is not installed."""
    return [f"{done.line}: {done.remark}" for done in played if done.remark]
