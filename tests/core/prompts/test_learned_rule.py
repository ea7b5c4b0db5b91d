import pytest

from tests.core.engine.transcript import flow_of, inbound, whose
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import KERNEL, Attribution
from tinysnitch.core.prompts.learned_rule import learn_rule
from tinysnitch.core.rules.text import format_rule, parse_rule

CURL = whose(args=("-s", "http://shop.test/?1795807197"))
PYTHON = whose(program="/usr/bin/python3.13", args=("-c", "x"))
SSHD = whose(program="/usr/sbin/sshd")
RULE_OF_CURL = "443 tcp /usr/bin/curl -s 'http://shop.test/?1795807197'"


@pytest.mark.parametrize(
    ("flow", "who", "fields", "expected"),
    [
        (inbound(), SSHD, {}, ["allow 10.0.0.5 22 tcp-src /usr/sbin/sshd ()", "allow - 22 tcp-src /usr/sbin/sshd ()"]),
        (
            inbound(),
            SSHD,
            {"is_from_lan": True},
            ["allow 10.0.0.5 22 tcp-src /usr/sbin/sshd ()", "allow lan 22 tcp-src /usr/sbin/sshd ()"],
        ),
        (inbound(), KERNEL, {}, ["allow 10.0.0.5 22 tcp-src kernel", "allow - 22 tcp-src kernel"]),
        (flow_of(), SSHD, {"name": "shop.test"}, ["allow shop.test 443 tcp /usr/sbin/sshd ()"]),
        (
            flow_of(),
            CURL,
            {"name": "shop.test"},
            [f"allow shop.test {RULE_OF_CURL}", "allow shop.test 443 tcp /usr/bin/curl"],
        ),
        (
            flow_of(),
            CURL,
            {},
            [f"allow 10.0.0.80 {RULE_OF_CURL}", f"allow - {RULE_OF_CURL}", "allow 10.0.0.80 443 tcp /usr/bin/curl"],
        ),
        (flow_of(), PYTHON, {"name": "shop.test"}, ["allow shop.test 443 tcp /usr/bin/python3.13 -c x"]),
    ],
)
def test_the_rule_and_the_wider_ones(
    flow: Flow, who: Attribution, fields: dict[str, object], expected: list[str]
) -> None:
    rule, wider = learn_rule(Connection(flow=flow, attribution=who, **fields), None, 1.5)  # type: ignore[arg-type]
    assert [format_rule(each) for each in (rule, *wider)] == expected


def test_what_a_rule_asks_about_is_not_widened() -> None:
    """A wider rule might not be narrower than the rule that asks, which would then ask again."""
    connection = Connection(flow=inbound(), attribution=SSHD)
    assert learn_rule(connection, parse_rule("ask 10.0.0.0/8 - -src"), 1.5)[1] == ()
