"""Qt for tests that need no screen: windows are painted into memory."""

import gc
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


@pytest.fixture(scope="session")
def _kept() -> None:
    """What is there before the first window is looked through no more, so that a collection is quick."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _collected_in_our_thread(_kept: None) -> Iterator[None]:
    """Python collects garbage in whichever thread is at it: a look-up's would end windows of earlier tests while Qt
    paints, and with them the process."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()
