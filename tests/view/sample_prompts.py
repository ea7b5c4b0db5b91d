"""Prompts as the daemon sends them, for the tests of everything that shows them."""

import msgspec

from tests.core.prompts.catalogued import catalogued
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import TCP, Direction, Flow, parse_address
from tinysnitch.core.model.process import Attribution, AttributionSource, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import bounded
from tinysnitch.core.prompts.choice import Choice, RemoteScope
from tinysnitch.core.prompts.prompt import Prompt

CURL = Process(
    exec_id=7,
    pid=4242,
    started_ns=1,
    uid=1000,
    executable="/usr/bin/curl",
    device=1,
    inode=2,
    program="/usr/bin/curl",
    args=("-s", "https://shop.test/"),
    parents=("/usr/bin/bash", "/usr/sbin/sshd", "/usr/lib/systemd/systemd"),
    owners=("unit:ssh.service",),
)
OUT = Flow(TCP, Direction.OUTBOUND, parse_address("10.0.0.2"), 40000, parse_address("10.0.0.9"), 443)
IN = Flow(TCP, Direction.INBOUND, parse_address("10.0.0.2"), 22, parse_address("10.0.0.5"), 50505)


def connection_of(process: Process = CURL, flow: Flow = OUT, name: str | None = "shop.test") -> Connection:
    return catalogued(Connection(flow=flow, attribution=Attribution(AttributionSource.BPF, process), name=name))


def prompt_of(
    prompt_id: int = 1,
    connection: Connection | None = None,
    remaining_s: float = 60.0,
    proposal: Choice | None = None,
) -> Prompt:
    connection = connection or connection_of()
    return Prompt(
        prompt_id=prompt_id,
        connection=connection,
        count=1,
        reason="no rule matches",
        opened_s=1_700_000_000.0,
        deadline_s=0.0,
        remaining_s=remaining_s,
        proposal=proposal or bounded(connection, Choice(verdict=Verdict.ALLOW)),
    )


def learned_prompt_of(prompt_id: int = 1, name: str = "img.shop.test", verdict: Verdict = Verdict.ALLOW) -> Prompt:
    """A question that proposes the domain, since two of its names were answered alike."""
    prompt = prompt_of(prompt_id, connection_of(name=name))
    were = "allowed" if verdict is Verdict.ALLOW else "denied"
    return msgspec.structs.replace(
        prompt,
        proposal=msgspec.structs.replace(prompt.proposal, verdict=verdict, remote=RemoteScope.DOMAIN),
        alone=prompt.proposal,
        widened=f"for all of shop.test, since cdn.shop.test and api.shop.test were {were}",
    )
