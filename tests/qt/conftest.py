"""Qt for tests that need no screen: windows are painted into memory."""

import os
from collections.abc import Iterator

import pytest
from PySide6.QtGui import QGuiApplication


@pytest.fixture(scope="session")
def application() -> Iterator[QGuiApplication]:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    made = QGuiApplication([])
    made.setQuitOnLastWindowClosed(False)
    yield made
    del os.environ["QT_QPA_PLATFORM"]
