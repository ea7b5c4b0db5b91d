from tinysnitch.protocol.messages import PromptSettings, Theme, WindowPosition, WindowSize
from tinysnitch.qt.window_options import WindowOptions


def test_what_the_person_set_goes_before_the_settings_and_the_rest_is_theirs() -> None:
    settings = PromptSettings(delay=2.0, theme=Theme.DARK, window=WindowSize.FULL, position=WindowPosition.CORNER)
    assert WindowOptions(font_pt=12.0).over(settings) == settings
    own = WindowOptions(WindowSize.DIALOG, theme=Theme.AUTO).over(settings)
    assert own == PromptSettings(delay=2.0, position=WindowPosition.CORNER)
