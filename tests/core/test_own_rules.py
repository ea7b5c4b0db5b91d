import pytest

from tinysnitch.core.facts import Facts
from tinysnitch.core.own_rules import find_excess, find_overruled, is_own
from tinysnitch.core.rule_text import format_rule, parse_rule
from tinysnitch.store.remote_set import RemoteSet

FACTS = Facts(
    users={"alice": 1000, "bob": 1001},
    links={"/bin/ssh": "/usr/bin/ssh"},
    lists={"ads": RemoteSet(["ads.test"], [])},
)


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("allow user=1000 - - -", True),
        ("deny user=alice - - -", True),
        ("allow - - -", False),
        ("allow user=bob - - -", False),
        ("allow user=100 - - -", False),
        ("allow user=nobody-has-it - - -", False),
    ],
)
def test_an_own_rule_names_its_user(line: str, own: bool) -> None:
    assert is_own(parse_rule(line), 1000, FACTS) is own


@pytest.mark.parametrize(
    ("columns", "excess"),
    [
        ("*.shop.test 443 tcp /usr/bin/curl -s", None),
        ("- - - unit:cron.service", None),
        ("- - - '/opt/a*b'", None),
        ("- - - /opt/*/app", "a pattern"),
        ("- - - /opt/**", "a pattern"),
        ("@ads - -", "a list"),
    ],
)
def test_an_own_rule_makes_nobody_read_or_try_much(columns: str, excess: str | None) -> None:
    assert find_excess(parse_rule(f"allow user=1000 {columns}")) == excess


def test_an_own_rule_demands_no_sum() -> None:
    assert find_excess(parse_rule(f"allow user=1000 sha256={'0' * 64} - - - /usr/bin/curl")) == "sha256="


@pytest.mark.parametrize(
    ("line", "others", "overruled"),
    [
        ("allow user=1000 mail.test 25 tcp", ["deny - 25 tcp"], "deny - 25 tcp"),
        ("ask user=1000 mail.test 25 tcp", ["deny - 25 tcp"], "deny - 25 tcp"),
        ("deny user=1000 mail.test 25 tcp", ["deny - 25 tcp"], None),
        ("allow user=1000 mail.test 25 tcp", ["allow - 25 tcp", "ask - 25 tcp"], None),
        ("allow user=1000 mail.test - tcp", ["deny - 25 tcp"], None),  # neither is narrower: deny wins
        ("allow user=1000 - 25 tcp", ["deny - 25 tcp-src"], None),
        ("allow user=1000 - 25 tcp", ["deny user=bob - - -"], None),
        ("allow user=1000 - 25 tcp", ["deny user=alice - - -"], "deny user=alice - - -"),
        ("allow user=1000 until=2030-01-01T00:00:00Z - 25 tcp", ["deny user=1000 - 25 tcp"], "deny user=1000 - 25 tcp"),
        ("allow user=1000 x.ads.test - -", ["deny @ads - -"], "deny @ads - -"),
        ("allow user=1000 git.test 22 tcp /bin/ssh", ["deny - - - /usr/bin/ssh"], "deny - - - /usr/bin/ssh"),
    ],
)
def test_what_others_deny_stays_denied(line: str, others: list[str], overruled: str | None) -> None:
    found = find_overruled(parse_rule(line), map(parse_rule, others), FACTS)
    assert (format_rule(found) if found else None) == overruled


@pytest.mark.parametrize(
    ("line", "is_free"),
    [
        ("allow user=1000 git.corp.test 22 tcp", True),
        ("allow user=1000 *.corp.test 22 tcp /usr/bin/ssh", True),
        ("allow user=1000 - 22 tcp", False),
        ("allow user=1000 git.test 22 tcp", False),
    ],
)
@pytest.mark.parametrize("word", ["ask", "allow"])
def test_what_others_ask_or_allow_in_between_is_free(line: str, is_free: bool, word: str) -> None:
    others = map(parse_rule, ["deny - 22 tcp", f"{word} *.corp.test 22 tcp"])
    assert (find_overruled(parse_rule(line), others, FACTS) is None) is is_free
