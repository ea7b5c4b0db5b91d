import pytest

from tests.core.engine.transcript import CURL, flow_of
from tinysnitch.core.engine.records import (
    ConnectionDecided,
    LossCounted,
    PacketSocketSeen,
    PromptAnswered,
    PromptOpened,
    Record,
    RulesReplaced,
    uid_told_of,
)
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.process import UNKNOWN
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision

CONNECTION = Connection(flow=flow_of(), attribution=CURL)
DECISION = Decision(verdict=Verdict.DENY, reason="denied by a rule")


@pytest.mark.parametrize(
    ("record", "uid"),
    [
        (ConnectionDecided(CONNECTION, DECISION, False, 0.0), 1000),
        (ConnectionDecided(Connection(flow=flow_of(), attribution=UNKNOWN), DECISION, False, 0.0), None),
        (PromptOpened(1, CONNECTION, DECISION, 0.0), 1000),
        (PromptAnswered(1, "deny - - -", 0, 0.0, 1000), 1000),
        (RulesReplaced(1, (), 0.0), None),
        (LossCounted("packets", 1, 0.0), None),
        (PacketSocketSeen(7, 1000, "/usr/bin/a", 0.0), 1000),
    ],
)
def test_whose_process_a_record_tells_of(record: Record, uid: int | None) -> None:
    assert uid_told_of(record) == uid
