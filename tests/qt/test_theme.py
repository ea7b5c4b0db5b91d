from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from tinysnitch.protocol import messages as msg
from tinysnitch.qt.theme import DARK, LIGHT, Look, Theme, find_theme


@pytest.fixture
def desktop(application: QApplication) -> Iterator[QApplication]:
    before = QPalette(application.palette())
    yield application
    QGuiApplication.styleHints().unsetColorScheme()
    application.setPalette(before)


@pytest.mark.parametrize(("scheme", "theme"), [(Qt.ColorScheme.Dark, DARK), (Qt.ColorScheme.Light, LIGHT)])
def test_it_is_as_the_desktop_has_it_or_as_it_is_wanted(
    desktop: QApplication, scheme: Qt.ColorScheme, theme: Theme
) -> None:
    desktop.styleHints().setColorScheme(scheme)
    if desktop.styleHints().colorScheme() is Qt.ColorScheme.Unknown:  # this platform has none
        desktop.setPalette(QPalette(QColor("black" if theme is DARK else "white")))
    assert find_theme(msg.Theme.AUTO) is theme
    assert [find_theme(wanted) for wanted in (msg.Theme.LIGHT, msg.Theme.DARK)] == [LIGHT, DARK]


def luminance(color: QColor) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in color.getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_all_text_can_be_read(theme: Theme) -> None:
    pairs = [
        (theme.text, theme.background),
        (theme.text, theme.panel),
        (theme.quiet, theme.background),
        (theme.quiet, theme.panel),
        (theme.covered, theme.panel),
        (theme.covered, theme.background),
        (theme.covered, theme.key_on),
        (theme.warning, theme.behind_warning),
        (theme.warning, theme.background),
        (theme.text, theme.key),
        (theme.quiet, theme.key_waiting),
        (theme.on_answer, theme.allow),
        (theme.on_answer, theme.deny),
    ]
    for ink, paper in pairs:
        lighter, darker = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink.name(), paper.name())


def test_type_has_the_size_of_the_look() -> None:
    look = Look(LIGHT, 15.0, 1)
    assert (look.font().pixelSize(), look.font(1.6, is_bold=True).pixelSize(), look.px(0.5)) == (15, 24, 8)
    assert look.style(is_fixed=True).font.family() != ""
