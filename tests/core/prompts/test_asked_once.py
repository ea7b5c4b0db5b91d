"""How often a program is asked about that has other arguments, another port or another path at each of three starts,
where each question is answered as proposed, forever. The table in docs/design/prompts.md has the same."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.core.engine.transcript import SHOP, Transcript, flow_of, whose
from tinysnitch.core.model.flow import UDP, Flow
from tinysnitch.core.prompts.choice import Lifetime

INIT = "/usr/lib/systemd/systemd"
TERMINAL = ("/usr/bin/bash", "/usr/libexec/gnome-terminal-server", INIT)
PYTHON, AT_HOME = "/usr/bin/python3.13", "/home/a/miniconda3/bin/python3.12"
JAVA, R = "/usr/lib/jvm/java-21/bin/java", "/usr/lib/R/bin/exec/R"
SERVER = "/home/a/.vscode-server/bin/0958016b2af9f09b"
SPAWN = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd={n}, pipe_handle=7)"
PIP_OF_VIRTUALENV = "import os, sys; sys.path = [os.environ['VIRTUALENV_PIP_WHEEL']]; import runpy"
PYDEVD = "import sys; sys.path.append(r'/opt/pycharm/pydev'); import pydevd; pydevd.settrace(port={n})"


class Start:
    """`{n}` in a text is another number at each start. Without a path in `run_by` the program is an executable."""

    def __init__(self, program: str, *args: str, parents: tuple[str, ...] = TERMINAL, run_by: str = "") -> None:
        self.program, self.args, self.parents, self.run_by = program, args, parents, run_by

    def __call__(self, number: int) -> dict[str, object]:
        path, *args = (text.replace("{n}", str(number)) for text in (self.program, *self.args))
        fields: dict[str, object] = {"program": path, "executable": self.run_by or path, "args": tuple(args)}
        return fields | {"run_by": self.run_by or None, "parents": self.parents}


def script(path: str, *args: str) -> Start:
    return Start(path, *args, run_by=PYTHON)


def below(starter: str, program: str, *args: str) -> Start:
    return Start(program, *args, parents=(starter, *TERMINAL))


ONCE = {
    # helpers that other programs start
    "slirp4netns": Start("/usr/bin/slirp4netns", "-c", "47{n}", "tap0"),
    "pasta": Start("/usr/bin/pasta.avx2", "--netns", "/run/netns/netns-{n}"),
    "passt": Start("/usr/bin/passt", "--socket", "/run/passt/{n}.socket"),
    "docker-proxy": Start("/usr/sbin/docker-proxy", "-container-ip", "172.17.0.{n}"),
    "WebKitNetworkProcess": Start("/usr/lib/webkit2gtk-4.1/WebKitNetworkProcess", "7", "2{n}", "23"),
    "WPENetworkProcess": Start("/usr/lib/wpe-webkit-2.0/WPENetworkProcess", "7", "2{n}", "23"),
    "jcef_helper": Start("/opt/idea/jbr/lib/jcef_helper", "--type=utility", "--field-trial-handle={n}"),
    "obs-browser-page": Start("/usr/libexec/obs-plugins/obs-browser-page", "--field-trial-handle={n}"),
    "kioworker": Start("/usr/libexec/kf6/kioworker", "kio_http.so", "https", "", "local:/run/{n}.kioworker.socket"),
    "kioslave5": Start("/usr/libexec/kf5/kioslave5", "http.so", "https", "", "local:/run/{n}.slave-socket"),
    "dirmngr": Start("/usr/bin/dirmngr", "--homedir", "/tmp/apt-key-{n}", "--daemon"),
    "ansible_connection_cli_stub.py": script("/opt/ansible/ansible_connection_cli_stub.py", "47{n}", "0a3f"),
    "__pip-runner__.py": script("/opt/pip/__pip-runner__.py", "install", "--prefix", "/tmp/pip-build-env-{n}"),
    "pipenv's resolver": script("/opt/pipenv/resolver/main.py", "--request-file", "/tmp/pipenv-{n}.json"),
    "pingsender": Start("/usr/lib/firefox-esr/pingsender", "https://pings.test/{n}", "/home/a/pings/{n}"),
    "workerd": Start("/srv/a/bin/workerd", "serve", "--external-addr=loopback=:{n}"),
    "smbspool": Start("/usr/bin/smbspool", "{n}", "alice", "letter.txt", "1", ""),
    "git-lfs": Start("/usr/bin/git-lfs", "pre-push", "origin", "https://a/{n}.git"),
    "msmtp": Start("/usr/bin/msmtp", "-oi", "--", "b{n}@shop.test"),
    "mosh-client": Start("/usr/bin/mosh-client", "-# shop.test |", "10.0.0.80", "6000{n}"),
    "server-main.js": Start(
        f"{SERVER}/node",
        f"{SERVER}/out/server-main.js",
        "--connection-token={n}",
        parents=(f"{SERVER}/bin/code-server", *TERMINAL),
    ),
    "backends of CUPS": Start("/usr/lib/cups/backend/ipp", "{n}", "alice", "letter.txt", "1", ""),
    "git-remote-https": Start("/usr/lib/git-core/git-remote-https", "origin", "https://a/{n}.git"),
    "gvfsd-dav": Start("/usr/libexec/gvfsd-dav", "--spawner", ":1.{n}", "/org/gtk/gvfs/exec_spaw/6"),
    "pulumi-resource-aws": Start("/home/a/.pulumi/plugins/pulumi-resource-aws", "127.0.0.1:5754{n}"),
    # what started itself, and what a desktop program was started to open
    "chromium's helpers": below(
        "/usr/lib/chromium/chromium", "/usr/lib/chromium/chromium", "--type=utility", "--field-trial-handle={n}"
    ),
    **{
        name: Start(f"/usr/bin/{name}", "https://shop.test/{n}")
        for name in (
            *("firefox", "firefox-esr", "firefox-bin", "librewolf", "waterfox", "floorp", "thunderbird"),
            *("falkon", "konqueror", "qutebrowser", "angelfish", "dillo", "netsurf-gtk", "claws-mail", "evolution"),
            *("qbittorrent", "qbittorrent-nox", "transmission-gtk", "transmission-qt", "ktorrent", "deluge"),
            *("deluge-gtk", "mpv", "vlc", "celluloid", "haruna", "totem", "spotify", "telegram-desktop", "Telegram"),
            *("zoom", "steam", "zed-editor", "idea", "pycharm", "webstorm", "phpstorm", "goland", "clion", "rubymine"),
            *("rider", "rustrover", "datagrip"),
        )
    },
    "firefox -P": Start("/usr/lib/firefox-esr/firefox-esr", "-P", "profile{n}"),
    # folders that are new at each start
    "an AppImage": Start("/tmp/.mount_JoplinAbC12{n}/joplin", "--no-sandbox"),
    "an AppImage's Python": Start("/tmp/.mount_krita1AbC12{n}/python3", "-s", "/tmp/.mount_krita1AbC12{n}/app"),
    "PyInstaller": Start("/tmp/_MEIUawGx{n}/tool", "x"),
    "Nuitka": Start("/tmp/onefile_7{n}_179590/app.bin"),
    "go test": Start("/tmp/go-build26{n}/b001/a.test", "-test.testlogfile=/tmp/go-build26{n}/testlog.txt"),
    "Ansible's module": Start("/root/.ansible/tmp/ansible-tmp-17{n}-20-6/AnsiballZ_get_url.py"),
    "snapd": Start("/snap/snapd/2450{n}/usr/lib/snapd/snapd"),
    # workers
    "multiprocessing": below("/srv/report.py", PYTHON, "-c", SPAWN, "--multiprocessing-fork"),
    "a Jupyter kernel": below("/usr/bin/jupyter-lab", PYTHON, "-m", "ipykernel_launcher", "-f", "/run/kernel-{n}.json"),
    "a Jupyter kernel of conda": below(AT_HOME, AT_HOME, "-m", "ipykernel_launcher", "-f", "/run/kernel-{n}.json"),
    "Spyder": below("/usr/bin/spyder", PYTHON, "-m", "spyder_kernels.console", "-f", "/tmp/kernel-{n}.json"),
    "loky": below("/srv/a.py", PYTHON, "-m", "loky.backend.popen_loky_posix", "--pipe", "{n}"),
    "pip's build of conda": below("/home/a/bin/pip", AT_HOME, "/home/a/lib/pip/__pip-runner__.py", "/tmp/env-{n}"),
    "debugpy": below("/usr/share/code/code", PYTHON, "/home/a/lib/debugpy", "--connect", "127.0.0.1:4123{n}", "x.py"),
    "PyCharm": below("/opt/pycharm/bin/pycharm", PYTHON, "-c", PYDEVD),
    "virtualenv's pip": below("/usr/bin/tox", PYTHON, "-c", PIP_OF_VIRTUALENV, "download", "-d", "/tmp/{n}"),
    "Gradle": below(
        "/home/a/gradle-wrapper.jar",
        JAVA,
        "@/home/a/.gradle/worker{n}.txt",
        "-Xmx512m",
        "worker.org.gradle.process.internal.worker.GradleWorkerMain",
        "'Gradle Test Executor {n}'",
    ),
    "R's parallel": below(R, R, "--no-echo", "-e", "parallel:::.workRSOCK()", "--args", "PORT={n}"),
    "RStudio": below("/usr/lib/rstudio/rstudio", "/usr/lib/rstudio/bin/rsession", "--launcher-token", "{n}"),
    **{
        f"ssh of {name}": below(f"/usr/bin/{name}", "/usr/bin/ssh", "a.test", "{n}")
        for name in ("git", "rsync", "borg")
    },
    **{
        f"{name} of a fetcher": below("/usr/sbin/debootstrap", f"/usr/bin/{name}", "http://a.test/{n}")
        for name in ("wget", "curl", "aria2c", "whois")
    },
    "openvpn of NetworkManager": below("/usr/lib/nm-openvpn-service", "/usr/sbin/openvpn", "--up", "helper {n}"),
    "yt-dlp of mpv": Start(
        "/usr/bin/yt-dlp", "-J", "https://tube.test/{n}", run_by=PYTHON, parents=("/usr/bin/mpv", *TERMINAL)
    ),
    "ffmpeg of yt-dlp": below("/usr/bin/yt-dlp", "/usr/bin/ffmpeg", "-i", "https://cdn.test/{n}"),
    # what no catalogue had
    "curl": Start("/usr/bin/curl", "https://shop.test/{n}"),
    "wget": Start("/usr/bin/wget", "https://shop.test/{n}"),
    "ssh": Start("/usr/bin/ssh", "a.test", "tail /var/log/{n}"),
    "yt-dlp": script("/usr/bin/yt-dlp", "https://tube.test/{n}"),
    "a script": script("/home/a/report.py", "--month", "{n}"),
    "psql": Start("/usr/bin/psql", "-h", "db.test", "-c", "select {n}; select 2"),
}
EACH_TIME = {
    "python3 -c": Start(PYTHON, "-c", "print({n})"),
    "python3 -m": Start(PYTHON, "-m", "tool{n}"),
    "a script of a Python at home": Start(AT_HOME, "a{n}.py"),
    "java -jar": Start(JAVA, "-jar", "/home/a/a{n}.jar"),
    "bash -c": Start("/usr/bin/bash", "-c", "exec 3<>/dev/tcp/shop.test/443; echo {n}"),
    "busybox wget": Start("/usr/bin/busybox", "wget", "http://shop.test/{n}"),
    "deno": Start("/usr/bin/deno", "run", "a{n}.ts"),
    "a copy of Python": Start("/home/a/bin/tool", "-c", "import socket; print({n})"),
    "a Jupyter kernel that a shell started": Start(PYTHON, "-m", "ipykernel_launcher", "-f", "/run/kernel-{n}.json"),
    "server-main.js that a shell started": Start(f"{SERVER}/node", f"{SERVER}/out/server-main.js", "--token={n}"),
}


def count_questions(start: Callable[[int], dict[str, object]], flow: Callable[[int], Flow]) -> int:
    """How many questions three starts bring, each answered as proposed and forever."""
    engine = Transcript()
    asked = 0
    for number in (1, 2, 3):
        who = whose(6 + number, **start(number))  # type: ignore[arg-type]
        engine.resolve("shop.test", SHOP, who)
        engine.queue(flow(number), who)
        for prompt in engine.engine.open_prompts(engine.now):
            asked += 1
            engine.answer(prompt.prompt_id, replace(prompt.proposal, lifetime=Lifetime.FOREVER))
    return asked


def to_shop(number: int) -> Flow:
    return flow_of(40000 + number)


@pytest.mark.parametrize("name", ONCE)
def test_it_is_asked_about_once(name: str) -> None:
    assert count_questions(ONCE[name], to_shop) == 1


@pytest.mark.parametrize("name", EACH_TIME)
def test_what_its_arguments_say_that_it_runs_is_asked_about_each_time(name: str) -> None:
    assert count_questions(EACH_TIME[name], to_shop) == 3


@pytest.mark.parametrize("program", ["mtr-packet", "tracepath", "mosh-client"])
def test_ports_that_are_counted_up_are_asked_about_once(program: str) -> None:
    start = Start(f"/usr/bin/{program}")
    assert count_questions(start, lambda number: flow_of(40000, port=60000 + number, protocol=UDP)) == 1
