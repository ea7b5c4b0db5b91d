import pytest

from tests.core.engine.transcript import BANK, flow_of, inbound, process_of, whose
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import UDP, Flow
from tinysnitch.core.model.process import UNKNOWN, Attribution, AttributionSource
from tinysnitch.core.prompts.prompt import prompt_key_of


def connection(flow: Flow | None = None, who: Attribution | None = None, name: str | None = None) -> Connection:
    return Connection(flow=flow or flow_of(), attribution=who or whose(), name=name)


@pytest.mark.parametrize(
    "other",
    [
        connection(flow_of(port=80)),
        connection(flow_of(protocol=UDP)),
        connection(flow_of(remote=BANK)),
        connection(name="shop.test"),
        connection(inbound()),
        connection(who=UNKNOWN),
        connection(who=whose(uid=0)),
        connection(who=whose(args=("-s",))),
        connection(who=whose(started_as="/usr/bin/other")),
        connection(who=whose(program="/usr/bin/wget")),
        connection(who=Attribution(AttributionSource.PROCFS, process_of())),
        connection(who=whose(is_host_file=False)),
    ],
)
def test_what_makes_another_question(other: Connection) -> None:
    assert prompt_key_of(other) != prompt_key_of(connection())


def test_what_makes_no_other_question() -> None:
    same = connection(flow_of(local_port=2), whose(exec_id=9, device=5, owners=("unit:a",)))
    assert prompt_key_of(same) == prompt_key_of(connection())


@pytest.mark.parametrize("fields", [{"inode": 3}, {"device": 3}, {"owners": ("container:b",)}])
def test_programs_that_only_look_the_same_are_not_asked_about_together(fields: dict[str, object]) -> None:
    inside = connection(who=whose(is_host_file=False))
    other = connection(who=whose(7, "/usr/bin/curl", **(fields | {"is_host_file": False})))
    assert prompt_key_of(inside) != prompt_key_of(other)
