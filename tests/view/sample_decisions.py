"""Lines of the log, as the daemon sends them."""

from tests.view.sample_prompts import connection_of
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.log_lines import ConnectionLine, log_line_of


def line_of(
    connection: Connection | None = None, verdict: Verdict = Verdict.DENY, rule: str | None = None, second: int = 0
) -> ConnectionLine:
    decision = Decision(
        verdict=verdict,
        reason="denied by a rule" if rule else "no answer within 60 s",
        rule=parse_rule(rule) if rule else None,
    )
    record = ConnectionDecided(connection or connection_of(), decision, is_cached=False, wall_s=1.7e9 + second)
    line = log_line_of(record)
    assert isinstance(line, ConnectionLine)
    return line
