"""What is chosen before anyone chose: nine minutes, this name and port, and these arguments.

Arguments that a program gave to itself are the exception. Browsers and their like start themselves anew for each task,
with numbers among the arguments that are never the same again (`--field-trial-handle=3,i,8459356107866096316`): a rule
with these would be asked for at each start. Interpreters and shells run anything, so for them it stays with these.
"""

import msgspec

from tinysnitch.core.choice import Choice
from tinysnitch.core.connection import Connection
from tinysnitch.core.interpreters import find_interpreter
from tinysnitch.core.process import Process
from tinysnitch.core.verdict import Verdict

FIRST_CHOICE = Choice(verdict=Verdict.ALLOW)  # the verdict comes with the answering key


def choose_first(connection: Connection, usual: Choice) -> Choice:
    process = connection.attribution.process
    return msgspec.structs.replace(usual, any_args=True) if process and _started_itself(process) else usual


def _started_itself(process: Process) -> bool:
    parent = process.parents[0] if process.parents else ""
    is_same = parent == process.program == process.executable
    return is_same and bool(process.args) and find_interpreter(process.executable) is None
