"""A prompt: an open question to people, and the key by which connections share one.

Connections with equal keys are held for one prompt, and get one answer. The key has all that an answer's rule may test,
so that the rule matches every connection that is held.
"""

import msgspec

from tinysnitch.core.model.connection import Asking, Connection
from tinysnitch.core.model.flow import Direction, format_address, format_protocol
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.process import AttributionSource, OtherFile, other_file_of, program_of, uid_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.rules.rule import Rule


class PromptKey(msgspec.Struct, frozen=True):
    source: AttributionSource
    program: str
    args: tuple[str, ...]
    started_as: str | None  # no rule tests it, but the prompt shows it, and has to be true of all that are held
    uid: int | None
    other_file: OtherFile | None
    remote: str  # as the answer's rule has it: name, else address
    port: int
    protocol: str
    direction: Direction
    asking: Asking
    starter: str | None  # of a worker: the answer's rule may name it


def prompt_key_of(connection: Connection) -> PromptKey:
    flow, process = connection.flow, connection.attribution.process
    name = None if connection.asking.is_by_address else connection.name
    return PromptKey(
        source=connection.attribution.source,
        program=program_of(connection.attribution),
        args=process.args if process else (),
        started_as=process.started_as if process else None,
        uid=uid_of(connection.attribution),
        other_file=other_file_of(connection.attribution),
        remote=name or format_address(flow.remote),
        port=flow.port,
        protocol=format_protocol(flow.protocol),
        direction=flow.direction,
        asking=connection.asking,
        starter=connection.traits.starter,
    )


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """The value that every prompt client gets."""

    prompt_id: int
    connection: Connection  # the first one that is held
    count: int  # connections that wait for the answer
    reason: str  # why people are asked
    rule: Rule | None = None  # the rule that asks
    opened_s: float  # wall-clock seconds
    age_s: float = 0.0  # at the moment the value was made
    deadline_s: float  # boot-time seconds
    remaining_s: float  # at the moment the value was made
    proposal: Choice = Choice(verdict=Verdict.ALLOW)  # the verdict comes with the answering key
    widened: str = ""  # why the proposal covers more than this question; "" if it does not
    past: Past | None = None  # None: it is not known, or not yet
    alone: Choice | None = None  # if it is widened, which is for its verdict only: the choice for this question alone
