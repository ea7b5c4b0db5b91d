"""What the view asks of the system, which it never touches itself. A front end says how."""

from collections.abc import Callable

import msgspec

from tinysnitch.core.process import Process
from tinysnitch.core.program_file import ProgramFile

FindUser = Callable[[int], str | None]  # a uid to its name, None when it has none
FindFile = Callable[[Process], ProgramFile | None]  # None while it is being looked up

HasEnded = Callable[[Process], bool]  # True only where that is sure


class Lookup(msgspec.Struct, frozen=True):
    find_user: FindUser = lambda _uid: None
    find_file: FindFile = lambda _process: ProgramFile()
    has_ended: HasEnded = lambda _process: False


NO_LOOKUP = Lookup()
