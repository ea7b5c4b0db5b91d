"""How the window looks: as the command line says, and else as the daemon's settings do. It needs no Qt, so that a wrong
option is told without it."""

import msgspec

from tinysnitch.protocol.messages import PromptSettings, Theme, WindowPosition, WindowSize


class WindowOptions(msgspec.Struct, frozen=True):
    """What the person set; None where nothing was."""

    window: WindowSize | None = None
    position: WindowPosition | None = None
    theme: Theme | None = None
    font_pt: float | None = None  # None: the desktop's size; over the whole screen, as large as that allows

    def over(self, settings: PromptSettings) -> PromptSettings:
        """The settings, with what is set here in their place."""
        own = {name: value for name in ("window", "position", "theme") if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(settings, **own)
