"""Qt for tests that need no screen: windows are painted into memory."""

import os
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication


@pytest.fixture(scope="session")
def application() -> Iterator[QApplication]:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    made = QApplication([])
    made.setQuitOnLastWindowClosed(False)
    yield made
    del os.environ["QT_QPA_PLATFORM"]
