import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.test_ruleset import CURL, by, connection
from tinysnitch.core.model.connection import Asking
from tinysnitch.core.model.process import Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.policy.precedence import covers
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.workers import find_starter

PYTHON = "/usr/bin/python3.13"
AT_HOME = "/home/a/miniconda3/bin/python3.12"
REPORT = "/srv/report.py"
INIT = "/usr/lib/systemd/systemd"
SPAWN = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)"
FORKSERVER = "from multiprocessing.forkserver import main; main(3, 5, ['__main__'], **{'main_path': '/srv/report.py'})"
KERNEL_ARGS = ("-m", "ipykernel_launcher", "-f", "/home/a/.local/share/jupyter/runtime/kernel-2b7c.json")
DEBUGGED = ("-X", "frozen_modules=off", "/home/a/lib/debugpy", "--connect", "127.0.0.1:41235", "/home/a/x.py")
HELPERS = "/opt/pycharm/plugins/python-ce/helpers/pydev/"
BY_PYCHARM = (
    f"{HELPERS}pydevd.py",
    "--multiprocess",
    "--client",
    "127.0.0.1",
    "--port",
    "44431",
    "--file",
    "/home/a/x.py",
)
CONSOLE = (f"{HELPERS}pydevconsole.py", "--mode=client", "--host=127.0.0.1", "--port=32971")
NO_CACHE = (
    "-X",
    "pycache_prefix=/home/a/.cache/JetBrains/PyCharm2025.1/cpython-cache",
)  # so there is no script to go by
PYCHARM = "/opt/pycharm/bin/pycharm"
CODE = "/usr/share/code/code"
NODE = "/home/a/.vscode-server/cli/servers/Stable-1/server/node"


def worker(*args: str, started_by: str = REPORT, executable: str = PYTHON) -> Process:
    parents = (started_by, "/usr/bin/bash", INIT)
    return replace(CURL, executable=executable, program=executable, args=args, parents=parents)


@pytest.mark.parametrize(
    "args",
    [
        ("-c", SPAWN, "--multiprocessing-fork"),
        ("-B", "-Wignore", "-X", "utf8", "-W", "error", "-c", SPAWN, "--multiprocessing-fork"),
        ("-c", SPAWN.replace("multiprocessing.", "multiprocess."), "--multiprocessing-fork"),
        ("-c", SPAWN.replace("multiprocessing.", "billiard."), "--billiard-fork"),
        ("-c", FORKSERVER),
        ("-c", f"import sys; {FORKSERVER.replace('**', 'sys_argv=sys.argv[1:], **')}", REPORT),  # Python 3.14.10
        ("-c", f"{FORKSERVER}\n"),
        ("-m", "joblib.externals.loky.backend.popen_loky_posix", "--process-name", "LokyProcess-1", "--pipe", "17"),
        ("-m", "loky.backend.popen_loky_posix", "--process-name", "LokyProcess-1", "--pipe", "17"),
        KERNEL_ARGS,
        ("-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "/run/user/1000/jupyter/kernel-2b7c.json"),
        ("/home/a/lib/python3.12/site-packages/pip/__pip-runner__.py", "install", "--prefix", "/tmp/pip-build-env-x8f"),
        (
            "/home/a/lib/python3.12/site-packages/pipenv/resolver/main.py",
            "--request-file",
            "/tmp/pipenv-request-x.json",
        ),
        ("/home/a/lib/python3.12/site-packages/ansible/cli/scripts/ansible_connection_cli_stub.py", "4711", "0a3f"),
        DEBUGGED,
        ("-Xfrozen_modules=off", "-m", "spyder_kernels.console", "-f", "/tmp/kernel-2b7c.json"),
    ],
)
def test_a_worker_is_known_by_what_python_is_told_to_run(args: tuple[str, ...]) -> None:
    assert find_starter(worker(*args)) == REPORT


@pytest.mark.parametrize(
    ("ancestors", "starter"),
    [
        ((PYTHON, PYTHON, CODE, INIT), CODE),
        ((PYTHON, "/usr/bin/bash", CODE, INIT), CODE),
        ((AT_HOME, AT_HOME, CODE, INIT), CODE),
        ((PYTHON, "/usr/bin/bash", NODE, "/usr/bin/bash", INIT), NODE),
        ((PYTHON, "/usr/bin/bash", INIT), None),
        ((PYTHON, "/usr/bin/bash"), None),
        ((PYTHON, "/usr/bin/fish", CODE, INIT), CODE),
        ((PYTHON, "/usr/bin/nu", INIT), None),
    ],
)
def test_a_debugged_program_is_a_worker_of_its_editor(ancestors: tuple[str, ...], starter: str | None) -> None:
    """The editor's launcher is Python too, and its terminal a shell."""
    assert find_starter(replace(worker(*DEBUGGED), parents=ancestors)) == starter


def as_script(script: str, *args: str) -> Process:
    return replace(worker(*args), program=script, run_by=PYTHON)


OF_DEBUGPY = "/home/a/lib/debugpy/_vendored/pydevd"
CHILD = (
    f"{OF_DEBUGPY}/pydevd.py",
    "--client",
    "127.0.0.1",
    "--port",
    "41235",
    "--ppid",
    "4711",
    "--file",
    "/home/a/y.py",
)
SET_TRACE = f"pydevd.settrace(host='127.0.0.1', port=44431, suspend=False, patch_multiprocessing=True); {SPAWN}"


@pytest.mark.parametrize(
    "told",
    [
        BY_PYCHARM,
        CONSOLE,
        CHILD,
        ("-c", f"import sys; sys.path.append(r'{HELPERS}'); import pydevd; {SET_TRACE}"),
        (
            "-c",
            f"import sys; sys.path.insert(0, r'{OF_DEBUGPY}'); import pydevd; pydevd.config('', None); {SET_TRACE}\n",
        ),
    ],
)
def test_pycharms_debugger_and_console_are_workers(told: tuple[str, ...]) -> None:
    """They connect to a port of the moment, and so does what the debugged program starts."""
    for process in (worker(*NO_CACHE, *told), *([as_script(*told)] if told[0] != "-c" else [])):
        for between in ((), (PYTHON,), (AT_HOME, "/usr/bin/bash")):
            parents = (*between, PYCHARM, "/usr/bin/bash", INIT)
            assert find_starter(replace(process, parents=parents)) == PYCHARM
        for starter in ("/usr/sbin/sshd", "/usr/lib/openssh/sshd-session"):  # as for a project on another machine
            assert find_starter(replace(process, parents=("/usr/bin/bash", starter, INIT))) is None


@pytest.mark.parametrize(
    "told",
    [
        ("/srv/pydevd.py", *BY_PYCHARM[1:]),
        (BY_PYCHARM[0], "--server", "--port", "5678", "--file", "/home/a/x.py"),
        (CONSOLE[0], "--mode=server", "--port=5678"),
        (BY_PYCHARM[0],),
        ("-c", f"import os; import sys; sys.path.append(r'{HELPERS}'); import pydevd; {SET_TRACE}"),
        ("-c", f"import sys; sys.path.append(r'{HELPERS}'); import requests; {SET_TRACE}"),
        ("/home/a/x.py", "--client", "127.0.0.1"),
    ],
)
def test_similar_arguments_are_no_worker(told: tuple[str, ...]) -> None:
    assert find_starter(worker(*NO_CACHE, *told)) is None
    assert find_starter(as_script(*told)) is None


@pytest.mark.parametrize(
    ("starter", "is_one"),
    [
        ("/usr/bin/git", True),
        ("/usr/bin/rsync", True),
        ("/usr/bin/ansible-playbook", True),
        ("/usr/bin/ssh", True),
        ("/usr/bin/hg", True),
        ("/usr/share/code/code", True),
        ("/usr/share/code-insiders/code-insiders", True),
        ("/usr/share/cursor/cursor", True),
        ("/home/a/.local/kitty.app/bin/kitten", True),
        ("/home/a/.local/zed.app/libexec/zed-editor", True),
        ("/usr/bin/scp", True),
        ("/usr/bin/borg", True),
        ("/usr/bin/btrbk", True),
        ("/usr/sbin/syncoid", True),
        ("/usr/bin/git-annex", True),
        ("/usr/bin/parallel", True),
        ("/usr/bin/parallel-ssh", True),
        ("/usr/local/bin/pssh", True),
        ("/usr/bin/clush", True),
        ("/usr/bin/xterm", False),
        (REPORT, False),
    ],
)
def test_ssh_is_a_worker_of_the_tool_that_started_it(starter: str, is_one: bool) -> None:
    ssh = worker("git@shop.test", "git-upload-pack 'a.git'", started_by=starter, executable="/usr/bin/ssh")
    assert find_starter(ssh) == (starter if is_one else None)
    by_a_shell = replace(ssh, parents=("/usr/bin/dash", *ssh.parents))  # as core.sshCommand with options has it run
    assert find_starter(by_a_shell) == find_starter(ssh)


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("-c",),
        ("-m",),
        ("-X", "-m", "ipykernel_launcher"),
        ("-c", "pass", "-m", "ipykernel_launcher"),
        ("-c", f"import os; {SPAWN}"),
        ("-c", "from multiprocessing.spawn import main"),
        ("-m", "ipykernel_launcher.evil"),
        ("-m", "http.server"),
        ("/srv/other.py", *KERNEL_ARGS),
        ("/home/a/lib/debugpy", "--listen", "5678", "/home/a/x.py"),
        ("-", *KERNEL_ARGS[:1]),
    ],
)
def test_other_processes_are_no_workers(args: tuple[str, ...]) -> None:
    assert find_starter(worker(*args)) is None


@pytest.mark.parametrize("fetcher", ["/usr/bin/wget", "/usr/bin/curl", "/usr/bin/aria2c", "/usr/bin/whois"])
@pytest.mark.parametrize(
    ("starter", "is_one"),
    [
        ("/usr/sbin/debootstrap", True),
        ("/usr/bin/makepkg", True),
        ("/usr/local/bin/cpanm", True),
        ("/usr/lib/python-exec/python3.13/emerge", True),
        ("/home/a/poky/bitbake/bin/bitbake-worker", True),
        ("/home/a/openwrt/scripts/download.pl", True),
        ("/home/a/buildroot/support/download/wget", True),
        ("/home/linuxbrew/.linuxbrew/Homebrew/Library/Homebrew/vendor/portable-ruby/3.4.5/bin/ruby", True),
        ("/root/.acme.sh/acme.sh", True),
        ("/usr/bin/dehydrated", True),
        ("/usr/bin/ddclient", True),
        ("/usr/bin/sa-update", True),
        ("/opt/pihole/gravity.sh", True),
        ("/etc/update-motd.d/50-motd-news", True),
        ("/usr/bin/cabal", True),
        ("/usr/bin/opam", True),
        ("/home/a/.pyenv/plugins/python-build/bin/python-build", True),
        ("/home/a/.rbenv/plugins/ruby-build/bin/ruby-build", True),
        ("/usr/share/lxc/templates/lxc-download", True),
        ("/usr/bin/jigdo-lite", True),
        ("/usr/bin/fail2ban-server", True),
        ("/home/a/lxc-download", False),
        ("/home/a/bin/ruby", False),
        ("/srv/download.pl", False),
        ("/srv/wget", False),
        ("/srv/fetch.sh", False),
        ("/usr/bin/git", False),
    ],
)
def test_what_fetches_is_the_worker_of_tools_that_fetch_packages(fetcher: str, starter: str, is_one: bool) -> None:
    """Of packages, modules or sources, each with its address."""
    fetching = worker("-O", "a.deb", "http://a/a.deb", started_by=starter, executable=fetcher)
    for process in (fetching, replace(fetching, parents=("/usr/bin/dash", *fetching.parents))):
        assert find_starter(process) == (starter if is_one else None)


@pytest.mark.parametrize(("starter", "is_one"), [("/usr/lib/rstudio/rstudio", True), ("/usr/bin/xterm", False)])
def test_the_session_of_rstudio_is_its_worker(starter: str, is_one: bool) -> None:
    words = ("--program-mode", "desktop", "--www-port", "41235", "--launcher-token", "7F7A2B3C")
    session = worker(*words, started_by=starter, executable="/usr/lib/rstudio/resources/app/bin/rsession")
    assert find_starter(session) == (starter if is_one else None)


def test_what_fetches_a_video_for_a_player_is_its_worker() -> None:
    """mpv hands each address on to yt-dlp, which is a script, and yt-dlp that of a stream to ffmpeg."""
    by_mpv = replace(as_script("/usr/bin/yt-dlp", "-J", "--", "https://tube.test/1"), parents=("/usr/bin/mpv", INIT))
    assert find_starter(by_mpv) == "/usr/bin/mpv"
    assert find_starter(replace(by_mpv, parents=("/usr/bin/bash", INIT))) is None
    assert find_starter(replace(by_mpv, program="/srv/yt.py")) is None
    stream = worker("-i", "https://cdn.test/1.m3u8", started_by="/usr/bin/yt-dlp", executable="/usr/bin/ffmpeg")
    assert find_starter(stream) == "/usr/bin/yt-dlp"
    assert find_starter(replace(stream, parents=("/usr/bin/bash", INIT))) is None


PIP_OF_VIRTUALENV = (
    "import os, sys; sys.path = [os.environ['VIRTUALENV_PIP_WHEEL'], *(p for p in sys.path if p)]; "
    "import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)


@pytest.mark.parametrize(
    ("ancestors", "starter"),
    [
        (("/home/a/bin/tox", "/usr/bin/bash", INIT), "/home/a/bin/tox"),
        ((PYTHON, "/home/a/bin/virtualenv", "/usr/bin/bash", INIT), "/home/a/bin/virtualenv"),
        ((PYTHON, PYTHON, "/home/a/bin/pre-commit", INIT), "/home/a/bin/pre-commit"),
        ((PYTHON, "/usr/bin/bash", "/usr/bin/gnome-terminal", INIT), None),  # python3 -m virtualenv
        ((PYTHON, INIT), None),
    ],
)
def test_the_pip_that_virtualenv_starts_is_a_worker(ancestors: tuple[str, ...], starter: str | None) -> None:
    """It installs into a folder of the moment; the search for new versions is Python too."""
    pip = worker("-c", PIP_OF_VIRTUALENV, "download", "-d", "/home/a/wheel/house/download-x1t988yw", "pip")
    assert find_starter(replace(pip, parents=ancestors)) == starter
    other = worker("-c", f"import os; {PIP_OF_VIRTUALENV}")
    assert find_starter(replace(other, parents=ancestors)) is None


JAVA = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"
GRADLE_WORKER = "worker.org.gradle.process.internal.worker.GradleWorkerMain"
GRADLE_ARGS = ("-Dorg.gradle.native=false", "@/home/a/.gradle/.tmp/gradle-worker-classpath94866312txt", "-Xmx512m")
WRAPPER = "/home/a/shop/gradle/wrapper/gradle-wrapper.jar"


@pytest.mark.parametrize(
    ("ancestors", "starter"),
    [
        ((JAVA, WRAPPER, "/usr/bin/bash", INIT), WRAPPER),
        ((JAVA, JAVA, WRAPPER, INIT), WRAPPER),
        ((JAVA, "/opt/idea/bin/idea", INIT), "/opt/idea/bin/idea"),
        ((JAVA, JAVA, "/usr/bin/bash", "/usr/bin/xterm", INIT), None),
        ((JAVA, JAVA), None),
    ],
)
def test_processes_that_gradle_tests_and_compiles_in_are_workers(
    ancestors: tuple[str, ...], starter: str | None
) -> None:
    """A worker has a number, and its classes in a file of the moment. Gradle itself has no other name than Java's."""
    told = (*GRADLE_ARGS, GRADLE_WORKER, "'Gradle Test Executor 12'")
    testing = replace(worker(*told, executable=JAVA), parents=ancestors)
    assert find_starter(testing) == starter
    for others in ((*GRADLE_ARGS, "com.shop.Main", GRADLE_WORKER), (GRADLE_WORKER,), (*told, "-x"), ()):
        assert find_starter(replace(testing, args=others)) is None
    assert find_starter(replace(testing, executable="/usr/bin/javac")) is None


R = "/usr/lib/R/bin/exec/R"
R_WORKER = "tryCatch(parallel:::.workRSOCK,error=function(e)parallel:::.slaveRSOCK)()"
R_ARGS = ("--no-echo", "--no-restore", "-e", R_WORKER, "--args", "MASTER=localhost", "PORT=11379")


def test_a_process_of_a_cluster_of_r_is_a_worker() -> None:
    """It connects to a port of the moment. Scripts of R have no other name than R's."""
    working = replace(worker(*R_ARGS, executable=R), parents=("/usr/lib/R/bin/R", "/usr/bin/dash", R, INIT))
    assert find_starter(working) == R
    assert find_starter(replace(working, parents=("/usr/bin/bash", "/usr/bin/xterm", INIT))) is None
    assert find_starter(replace(working, args=("-e", "download.file('http://shop.test/', 'a')"))) is None
    assert find_starter(replace(working, executable="/usr/bin/Rscript")) is None


def test_another_program_with_such_arguments_is_no_worker() -> None:
    assert find_starter(worker(*KERNEL_ARGS, executable="/usr/bin/curl")) is None
    assert find_starter(replace(worker(*KERNEL_ARGS), program="/srv/a.py", run_by=PYTHON)) is None


@pytest.mark.parametrize(
    "starter",
    [
        *("/usr/bin/bash", "/home/a/bin/zsh", "/usr/bin/fish", "/usr/bin/tcsh", "/usr/bin/ksh93", "/bin/busybox"),
        *(PYTHON, "/usr/bin/node", INIT, "memfd:x", ""),
    ],
)
def test_a_starter_that_starts_anything_does_not_count(starter: str) -> None:
    assert find_starter(worker(*KERNEL_ARGS, started_by=starter)) is None


def test_a_process_with_no_ancestor_but_init_has_no_starter() -> None:
    assert find_starter(replace(worker(*KERNEL_ARGS), parents=())) is None
    assert find_starter(replace(worker(*KERNEL_ARGS), parents=(REPORT,))) is None


@pytest.mark.parametrize("executable", [PYTHON, AT_HOME])
def test_an_interpreter_whose_scripts_have_no_names_is_named_itself(executable: str) -> None:
    """As conda's, which runs JupyterLab, or the one that an editor installs on a remote machine."""
    for starter in (AT_HOME, NODE, REPORT):
        assert find_starter(worker(*KERNEL_ARGS, started_by=starter, executable=executable)) == starter


@given(
    option=st.sampled_from(["-c", "-m"]),
    told=st.sampled_from([SPAWN, FORKSERVER, "ipykernel_launcher", "pass"]),
    parents=st.lists(st.sampled_from([REPORT, PYTHON, "/usr/bin/bash", INIT, "/x y\n"]), max_size=3).map(tuple),
    are_args_complete=st.booleans(),
    asking=st.sampled_from([Asking(), Asking(parent="/usr/bin/make")]),
)
def test_a_forged_shape_only_makes_the_rule_narrower(
    option: str, told: str, parents: tuple[str, ...], *, are_args_complete: bool, asking: Asking
) -> None:
    """Narrower than a rule for any arguments of a process that is no worker."""
    forged = replace(worker(option, told), parents=parents, are_args_complete=are_args_complete)
    choice = Choice(verdict=Verdict.ALLOW, any_args=True)
    made, plain = (
        rule_for_choice(replace(connection(program=by(process)), asking=asking), choice, 0.0)
        for process in (forged, replace(forged, args=()))
    )
    assert covers(plain, made, RemoteWords(Facts()))
    assert made.parent == (asking.parent or find_starter(forged))


@pytest.mark.parametrize(
    ("starter", "is_one"),
    [("/usr/libexec/nm-openvpn-service", True), ("/usr/lib/nm-openvpn-service", True), (INIT, False)],
)
def test_a_tunnel_is_a_worker_of_networkmanager(starter: str, is_one: bool) -> None:
    helper = "/usr/libexec/nm-openvpn-service-openvpn-helper --debug 0 4711 --bus-name Connection_3 --tun --"
    tunnel = worker("--remote", "192.0.2.1", "--up", helper, started_by=starter, executable="/usr/sbin/openvpn")
    assert find_starter(tunnel) == (starter if is_one else None)
