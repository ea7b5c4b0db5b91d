from datetime import datetime

import pytest

from tinysnitch.core.rules.qualifiers import QUALIFIERS, format_qualifiers
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("user=alice", "user=alice"),
        ("user=0012", "user=12"),
        ("user='a b'", "user='a b'"),
        ("parent='/opt/my app'", "parent='/opt/my app'"),
        ("parent='/opt/*'", "parent='/opt/*'"),
        ("sha256=" + "AB" * 32, "sha256=" + "ab" * 32),
        ("iface=wg0", "iface=wg0"),
        ("until=2026-11-24T23:45:00Z", "until=2026-11-24T23:45:00Z"),
        ("until=2026-11-25T01:45:00+02:00", "until=2026-11-24T23:45:00Z"),
        ("until=2026-11-24T23:44:59.2Z", "until=2026-11-24T23:45:00Z"),
        ("until=0099-01-01T00:00:00Z", "until=0099-01-01T00:00:00Z"),
        ("iface=a user=b", "user=b iface=a"),
    ],
)
def test_parse_and_format(text: str, canonical: str) -> None:
    assert " ".join(format_qualifiers(parse_rule(f"allow {text} - - -"))) == canonical


def test_a_time_without_a_zone_is_local() -> None:
    rule = parse_rule("allow until=2026-11-24T23:45:00 - - -")
    assert rule.until_s == datetime(2026, 11, 24, 23, 45).timestamp()


def test_the_table_names_fields_of_rules() -> None:
    assert {qualifier.field for qualifier in QUALIFIERS.values()} < set(Rule.__struct_fields__)
    assert all(qualifier.example.startswith(f"{key}=") for key, qualifier in QUALIFIERS.items())
