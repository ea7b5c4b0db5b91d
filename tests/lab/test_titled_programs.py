"""Servers that write a title over their arguments (nginx, sshd, PostgreSQL), and started before the daemon did."""

import os
import signal
import subprocess

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_until
from tests.lab.world import HOST4, WORLD4
from tinysnitch.kernel.proc import procfs

pytestmark = [pytest.mark.privileged]

PORT = 8090
RULE = f"allow {WORLD4} {PORT} tcp-src /usr/sbin/nginx\n"
VISIT = ["curl", "-sS", "--max-time", "30", f"http://{HOST4}:{PORT}/"]
_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_CONFIG = """
daemon off;
user root;
worker_processes 2;
pid {folder}/pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
  access_log off;
  {temporary}
  server {{ listen {port}; return 200 "here"; }}
}}
"""


def start_nginx(lab: Lab) -> subprocess.Popen[str]:
    config = lab.folder / "nginx.conf"
    temporary = "".join(f"{name}_temp_path {lab.folder}/{name}; " for name in _FOLDERS)
    config.write_text(_CONFIG.format(folder=lab.folder, port=PORT, temporary=temporary))
    command = ["nginx", "-e", "stderr", "-c", str(config), "-p", str(lab.folder)]
    return lab.namespaces.start_server([*lab.namespaces.enter_host(), *command], "start worker process")


def list_workers(nginx: subprocess.Popen[str]) -> set[int]:
    """The workers' pids. pgrep would read the arguments of all processes, and those of other tests may hang it."""
    statuses = {pid: procfs.read_stat(pid) for pid in procfs.list_processes()}
    return {pid for pid, status in statuses.items() if status and status.parent_pid == nginx.pid}


def reload(nginx: subprocess.Popen[str]) -> None:
    before = list_workers(nginx)
    nginx.send_signal(signal.SIGHUP)
    wait_until(lambda: list_workers(nginx) and not list_workers(nginx) & before)


def expect_no_question(lab: Lab, daemon: Daemon, count: int) -> None:
    assert lab.run_world(VISIT).stdout == "here", daemon.describe()
    assert len(daemon.records("ask")) == count


def test_a_rule_made_for_a_titled_server_holds_after_its_restart(lab: Lab) -> None:
    nginx = start_nginx(lab)
    daemon = lab.start_daemon("")
    visitor = lab.spawn_world(VISIT)
    ask = daemon.wait_ask(program="/usr/sbin/nginx", attribution="procfs", args=[])
    daemon.answer(ask, "yes", "--for", "forever")
    assert visitor.communicate(timeout=WAIT_S)[0] == "here", daemon.describe()
    assert daemon.read_rules() == RULE
    reload(nginx)
    expect_no_question(lab, daemon, 1)
    os.kill(nginx.pid, signal.SIGTERM)
    nginx.wait(timeout=WAIT_S)
    start_nginx(lab)
    expect_no_question(lab, daemon, 1)
    assert daemon.wait_connection(attribution="bpf")["args"]


def test_a_rule_with_arguments_of_a_titled_server_holds_after_a_restart_of_the_daemon(lab: Lab) -> None:
    """Once nginx has a title, only a daemon that saw it start knows its arguments: it hands them to its successor."""
    daemon = lab.start_daemon("")
    start_nginx(lab)
    visitor = lab.spawn_world(VISIT)
    ask = daemon.wait_ask(program="/usr/sbin/nginx", attribution="bpf")
    daemon.answer(ask, "yes", "--for", "forever")
    assert visitor.communicate()[0] == "here", daemon.describe()
    for _ in range(2):
        assert daemon.stop() == 0
        daemon = lab.restart_daemon(daemon.rules.parent)
        expect_no_question(lab, daemon, 0)
        assert daemon.wait_connection(attribution="procfs")["args"] == ask["args"] != []
