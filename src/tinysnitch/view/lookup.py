"""What the view needs to know from the system. The view is pure, so a front end passes it the functions to ask."""

from collections.abc import Callable

import msgspec

from tinysnitch.core.model.process import Process, ProgramFile


class DesktopEntry(msgspec.Struct, frozen=True):
    """How a program is called in the menus of a desktop."""

    name: str
    icon: str = ""  # of a theme, or the path of a picture


FindUser = Callable[[int], str | None]  # the name of a uid, None if it has none
FindFile = Callable[[Process], ProgramFile | None]  # None while it is being looked up
FindEntry = Callable[[Process], DesktopEntry | None]
HasEnded = Callable[[Process], bool]  # True only if that is certain
TellTime = Callable[[str], str]  # the time of day of a line of the log, whose time is ISO 8601 in UTC


class Lookup(msgspec.Struct, frozen=True):
    find_user: FindUser = lambda _uid: None
    find_file: FindFile = lambda _process: ProgramFile()
    has_ended: HasEnded = lambda _process: False
    find_entry: FindEntry = lambda _process: None
    tell_time: TellTime = lambda time: time[11:19]


NO_LOOKUP = Lookup()
