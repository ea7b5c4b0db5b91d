from tinysnitch.qt.settings import WindowSettings, read_settings


def test_the_environment_may_say_both() -> None:
    assert read_settings({}) == WindowSettings(0.5, None)
    said = {"TINYSNITCH_DELAY_SECONDS": "2", "TINYSNITCH_FONTSIZE": "20"}
    assert read_settings(said) == WindowSettings(2.0, 20.0)
