"""Groups the questions of one program, which stand next to each other and can be answered together."""

import msgspec

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import AttributionSource, OtherFile, other_file_of, program_of, uid_of
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.prompts.workers import find_starter


class ProgramGroup(msgspec.Struct, frozen=True):
    """Equal for questions that can be answered together: of the same program, user and direction."""

    program: str
    uid: int | None
    other_file: OtherFile | None
    direction: Direction
    starter: str | None = None  # of a worker (core/prompts/workers.py): a rule for any arguments names its starter
    prompt_id: int = 0  # of a connection whose program is unknown: each such question is a group of its own


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
