import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.test_ruleset import CURL, by, connection
from tests.core.prompts.catalogued import CATALOGUE, catalogued
from tinysnitch.core.model.connection import Asking
from tinysnitch.core.model.process import Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.policy.precedence import covers
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Choice

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


def find_starter(process: Process) -> str | None:
    return catalogued(connection(program=by(process))).traits.starter


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


def test_the_session_of_rstudio_is_its_worker() -> None:
    words = ("--program-mode", "desktop", "--www-port", "41235", "--launcher-token", "7F7A2B3C")
    rstudio = "/usr/lib/rstudio/rstudio"
    session = worker(*words, started_by=rstudio, executable="/usr/lib/rstudio/resources/app/bin/rsession")
    assert find_starter(session) == rstudio
    assert find_starter(replace(session, parents=("/usr/bin/bash", "/usr/bin/xterm", INIT))) is None


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
    for others in ((*GRADLE_ARGS, "com.shop.Main", GRADLE_WORKER), (GRADLE_WORKER,), ()):
        assert find_starter(replace(testing, args=others)) is None
    assert find_starter(replace(testing, executable="/usr/bin/javac")) is None


R = "/usr/lib/R/bin/exec/R"
R_WORKER = "tryCatch(parallel:::.workRSOCK,error=function(e)parallel:::.slaveRSOCK)()"
R_ARGS = ("--no-echo", "--no-restore", "-e", R_WORKER, "--args", "MASTER=localhost", "PORT=11379")


def test_a_process_of_a_cluster_of_r_is_a_worker() -> None:
    """It connects to a port of the moment. Scripts of R have no other name than R's."""
    working = replace(worker(*R_ARGS, executable=R), parents=("/usr/lib/R/bin/R", "/usr/bin/dash", R, INIT))
    assert find_starter(working) == "/usr/lib/R/bin/R"
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
        rule_for_choice(replace(catalogued(connection(program=by(process))), asking=asking), choice, 0.0)
        for process in (forged, replace(forged, args=()))
    )
    assert covers(plain, made, RemoteWords(Facts()))
    assert made.parent == (asking.parent or find_starter(forged))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *((path, True) for path in ("/home/a/bin/python3", "/bin/busybox", "/bin/busybox.static", "/home/a/bin/deno")),
        *((path, True) for path in ("/home/a/.bun/bin/bun", "/srv/node_modules/bun/bin/bun.exe")),
        *(
            (path, True)
            for path in ("/usr/bin/fish", "/bin/mksh", "/usr/bin/tclsh8.6", "/usr/bin/lua5.4", "/usr/bin/gawk")
        ),
        *(
            (path, True)
            for path in (
                "/usr/lib/R/bin/exec/R",
                "/usr/lib/rstudio/bin/rsession",
                "/usr/bin/julia",
                "/opt/microsoft/powershell/7/pwsh",
            )
        ),
        *((path, True) for path in ("/usr/lib/dotnet/dotnet", "/usr/bin/mono-sgen", "/usr/lib/wine/wine64-preloader")),
        *(
            (path, True)
            for path in ("/usr/bin/qemu-aarch64-static", "/lib64/ld-linux-x86-64.so.2", "/usr/bin/guile-3.0")
        ),
        *(
            (path, True)
            for path in ("/usr/lib/erlang/erts-15.2/bin/beam.smp", "/usr/lib/ghc/bin/ghc-9.6.6", "/usr/bin/sbcl")
        ),
        *((path, False) for path in ("/usr/bin/Rx", "/usr/bin/luac", "/usr/bin/lda", "/usr/bin/sudo", "/opt/fisher")),
        *(
            (path, False)
            for path in ("/usr/bin/qemu-system-x86_64", "/usr/bin/uv", "/usr/bin/git", "/usr/bin/electron")
        ),
        *((path, False) for path in ("/usr/bin/curl", "/usr/bin/denoise", "/usr/bin/bunzip2", "")),
    ],
)
def test_what_runs_anything_is_called_so(path: str, expected: bool) -> None:
    """Also that for which the table of interpreters has no entry."""
    asked = catalogued(connection(program=by(replace(CURL, program=path, executable=path))))
    assert asked.traits.is_its_file is not expected


@pytest.mark.parametrize(
    ("path", "args", "is_kept"),
    [
        ("/usr/bin/python3.13", ("-c", "pass"), True),
        ("/usr/bin/bash", (), True),
        ("/usr/bin/curl", ("-c", "jar one"), False),
        ("/home/a/tool", ("-c", "print(1)"), True),
        ("/home/a/tool", ("-s",), False),
    ],
)
def test_arguments_that_say_what_runs_are_kept(path: str, args: tuple[str, ...], is_kept: bool) -> None:
    assert CATALOGUE.keeps_args(path, args) is is_kept
