"""Which questions are of one program: they stand next to each other, and can be answered together."""

import msgspec

from tinysnitch.core.flow import Direction
from tinysnitch.core.process import AttributionSource, OtherFile, other_file_of, program_of, uid_of
from tinysnitch.core.prompt import Prompt
from tinysnitch.core.workers import find_starter


class ProgramGroup(msgspec.Struct, frozen=True):
    """Equal for questions that one answer may speak of: who asks, as whom, and which way."""

    program: str
    uid: int | None
    other_file: OtherFile | None
    direction: Direction
    starter: str | None = None  # of a worker: an answer for any arguments is for this one's alone
    prompt_id: int = 0  # of what nobody could be named for: each is a group of its own


def group_of(prompt: Prompt) -> ProgramGroup:
    attribution = prompt.connection.attribution
    return ProgramGroup(
        program=program_of(attribution),
        uid=uid_of(attribution),
        other_file=other_file_of(attribution),
        direction=prompt.connection.flow.direction,
        starter=find_starter(attribution.process) if attribution.process else None,
        prompt_id=prompt.prompt_id if attribution.source is AttributionSource.UNKNOWN else 0,
    )
