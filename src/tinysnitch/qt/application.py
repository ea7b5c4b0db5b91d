"""Runs Qt's application with window, agent and daemon link, from start to end."""

from PySide6.QtWidgets import QApplication

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.qt.daemon_link import QtDaemonLink
from tinysnitch.qt.demo import Demo, find_sample_file
from tinysnitch.qt.program_icon import read_icons_of_root
from tinysnitch.qt.prompt_agent import PromptAgent
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.qt.screen_failure import screen_failure_told
from tinysnitch.qt.window_options import WindowOptions


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
    else:
        agent = PromptAgent(window, delay_s, leave=application.quit, find_file=find_sample_file)
        link = Demo(agent.tell, application.quit)
    agent.link = link
    link.start()
    status = 0 if failures else application.exec()
    if failures:
        raise failures[0]
    return status
