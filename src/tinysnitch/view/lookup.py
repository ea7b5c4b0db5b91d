"""What the view needs to know from the system. The view is pure, so a front end passes it the functions to ask."""

from collections.abc import Callable

import msgspec

from tinysnitch.core.model.process import Process, ProgramFile

FindUser = Callable[[int], str | None]  # the name of a uid, None if it has none
FindFile = Callable[[Process], ProgramFile | None]  # None while it is being looked up
HasEnded = Callable[[Process], bool]  # True only if that is certain


class Lookup(msgspec.Struct, frozen=True):
    find_user: FindUser = lambda _uid: None
    find_file: FindFile = lambda _process: ProgramFile()
    has_ended: HasEnded = lambda _process: False


NO_LOOKUP = Lookup()
