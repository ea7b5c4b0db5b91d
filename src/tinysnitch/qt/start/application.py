"""Runs Qt's application with window, agent and daemon link, from start to end."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication

from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.messages import Theme
from tinysnitch.qt.daemon_link import QtDaemonLink
from tinysnitch.qt.demo import Demo, find_sample_file
from tinysnitch.qt.pages.tray import Tray, has_tray
from tinysnitch.qt.program_icon import read_icons_of_root
from tinysnitch.qt.prompt_agent import PromptAgent
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.qt.screen_failure import screen_failure_told
from tinysnitch.qt.window_options import WindowOptions
from tinysnitch.view.pages.tabs import PageName

if TYPE_CHECKING:
    from tinysnitch.qt.pages.monitor_agent import MonitorAgent


def run_application(socket_path: str | None, delay_s: float | None, options: WindowOptions) -> int:
    """Run until the session ends; without a socket, until the sample questions are answered. Raises SnitchError."""
    with screen_failure_told():
        application = QApplication(["tinysnitch-prompt"])
    application.setQuitOnLastWindowClosed(False)
    read_icons_of_root()
    application.setDesktopFileName("tinysnitch-prompt")
    failures: list[SnitchError] = []

    def fail(error: SnitchError) -> None:
        failures.append(error)
        application.exit()  # quit() would first ask the window to close, which it refuses (closeEvent)

    window = PromptWindow(options)
    link: QtDaemonLink | Demo
    if socket_path:
        agent = PromptAgent(window, delay_s)
        link = QtDaemonLink(socket_path, agent.tell, fail)
        pages = _Pages(socket_path, options, lambda: agent.state.recent.is_for_user, window)
        agent.open_page = pages.open
        if has_tray():
            tray = Tray(pages.open, agent.bring_back, application.exit)
            agent.tell_waiting = tray.tell_waiting
            tray.show()
    else:
        agent = PromptAgent(window, delay_s, leave=application.quit, find_file=find_sample_file)
        link = Demo(agent.tell, application.quit)
    agent.link = link
    link.start()
    status = 0 if failures else application.exec()
    if failures:
        raise failures[0]
    return status


def run_monitor(socket_path: str, options: WindowOptions) -> int:
    """Show the pages alone, until their window is closed. Raises SnitchError."""
    with ControlClient(socket_path) as client:  # raises if there is no daemon, before a window comes
        is_for_user = not client.sees_all
    with screen_failure_told():
        application = QApplication(["tinysnitch-prompt"])
    application.setDesktopFileName("tinysnitch-prompt")
    _Pages(socket_path, options, lambda: is_for_user).open()
    return application.exec()


class _Pages:
    """The window of the pages, made when it is opened first: a prompt that only waits needs no memory for it."""

    def __init__(
        self,
        socket_path: str,
        options: WindowOptions,
        is_for_user: Callable[[], bool],
        question: PromptWindow | None = None,
    ) -> None:
        """`question`: the window that gets the keyboard back."""
        self._socket_path = socket_path
        self._options = options
        self._is_for_user = is_for_user
        self._question = question
        self._monitor: MonitorAgent | None = None

    def open(self, page: PageName | None = None, program: str | None = None) -> None:
        if self._monitor is None:
            from tinysnitch.qt.pages.monitor_agent import MonitorAgent
            from tinysnitch.qt.pages.monitor_window import MonitorWindow

            window = MonitorWindow(self._options.theme or Theme.AUTO)
            window.hidden.connect(self._give_back)
            self._monitor = MonitorAgent(window, self._socket_path, is_for_user=self._is_for_user)
        self._monitor.open(page, program)

    def _give_back(self) -> None:
        if self._question and self._question.isVisible():
            self._question.activateWindow()
