"""Numbers of the kernel's side become programs, names and rules."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from tests.core.engine.transcript import CURL, flow_of
from tests.kernel.bpf.test_images import make_image
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import Attribution, AttributionSource, Grains
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.traffic.kernel_rows import KernelRows
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.traffic import TrafficSum

RULE = "allow shop.test 443 tcp /usr/bin/curl"
KEY = layout.TrafficKey(
    program=88, remote=flow_of().remote, uid=1000, rule=3, verdict=layout.VERDICT_ALLOW, port=443, protocol=6
)


class Kernel:
    """Stands for BpfPrograms."""

    def __init__(self, *keys: layout.TrafficKey) -> None:
        self.traffic = SimpleNamespace(take=lambda: [TrafficSum(key, 2, 30, 40, 1.0, 5.0) for key in keys])
        self.uses = SimpleNamespace(rule_at={3: parse_rule(RULE)}.get)

    def find_image(self, exec_id: int) -> Any:  # noqa: ANN401
        return replace(make_image(), executable="/usr/bin/old") if exec_id == 99 else None


def make_rows(*keys: layout.TrafficKey) -> KernelRows:
    rows = KernelRows(Kernel(*keys), lambda _remote, port, exec_id: f"{port}.of-{exec_id}.test")  # type: ignore[arg-type]
    assert CURL.process
    process = replace(CURL.process, exec_id=77, grains=Grains(file=88, args=89))
    connection = Connection(flow=flow_of(), attribution=Attribution(AttributionSource.BPF, process))
    rows.note(ConnectionDecided(connection, Decision(verdict=Verdict.ALLOW, reason=""), False, 1.0))
    return rows


def test_a_row_has_the_program_that_was_decided_under_the_number_its_rule_and_what_it_calls_the_remote() -> None:
    (row,) = make_rows(KEY).take()
    assert (row.key.program, row.key.uid, row.key.name, row.key.rule) == ("/usr/bin/curl", 1000, "443.of-77.test", RULE)
    assert (row.key.direction, row.key.verdict) == (Direction.OUTBOUND, Verdict.ALLOW)
    assert (row.connections, row.bytes_in, row.bytes_out, row.first_s, row.last_s) == (2, 30, 40, 1.0, 5.0)


@pytest.mark.parametrize(
    ("number", "program", "uid"),
    [
        (77, "/usr/bin/curl", 1000),
        (89, "/usr/bin/curl", 1000),
        (99, "/usr/bin/old", 1000),
        (1, "kernel", None),
        (0, "unknown", None),
        (12345, "unknown", 1000),
    ],
)
def test_whichever_number_it_is(number: int, program: str, uid: int | None) -> None:
    (row,) = make_rows(replace(KEY, program=number, verdict=layout.VERDICT_DENY, rule=0)).take()
    assert (row.key.program, row.key.uid, row.key.verdict, row.key.rule) == (program, uid, Verdict.DENY, None)
