import pytest

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule import Rule


@pytest.mark.parametrize(
    ("rule", "is_temporary"),
    [
        (Rule(verdict=Verdict.ALLOW), False),
        (Rule(verdict=Verdict.ALLOW, until_s=0), True),
        (Rule(verdict=Verdict.ALLOW, exec_id=0), True),
    ],
)
def test_is_temporary(rule: Rule, is_temporary: bool) -> None:
    assert rule.is_temporary is is_temporary


def test_equal_rules_are_one() -> None:
    assert len({Rule(verdict=Verdict.ALLOW), Rule(verdict=Verdict.ALLOW), Rule(verdict=Verdict.DENY)}) == 2
