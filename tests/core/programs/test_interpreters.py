import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tinysnitch.core.programs.interpreters import find_interpreter, has_entry

SCRIPTS = {  # that print their arguments
    "python": "import sys\nprint(*sys.argv[1:])\n",
    "perl": 'print "@ARGV\n"',
    "ruby": "puts ARGV.join(' ')",
    "node": "console.log(...process.argv.slice(2))",
    "php": "<?php echo implode(' ', array_slice($argv, 1));",
}


@pytest.mark.parametrize(
    "executable",
    [
        "/usr/bin/python3",
        "/usr/bin/python3.13",
        "/usr/local/bin/python3.14t",
        "/usr/bin/pypy3.11",
        "/bin/sh",
        "/usr/bin/perl5.40",
        "/usr/bin/nodejs",
        "/usr/lib/jvm/java-21-openjdk-amd64/bin/java",
    ],
)
def test_an_interpreter_is_known_by_name_and_place(executable: str) -> None:
    assert find_interpreter(executable) is not None


@pytest.mark.parametrize(
    "executable", ["/usr/bin/python3-config", "/usr/bin/env", "/tmp/bash", "/opt/app/python3", "bash", "", "/usr/bin/"]
)
def test_what_is_no_known_interpreter(executable: str) -> None:
    assert find_interpreter(executable) is None


@pytest.mark.parametrize(
    ("path", "expected"), [("/home/a/bin/python3", True), ("/tmp/sh", True), ("/usr/bin/fish", False), ("", False)]
)
def test_an_entry_is_for_a_name(path: str, expected: bool) -> None:
    assert has_entry(path) is expected


def test_elsewhere_the_file_must_be_roots() -> None:
    asked: list[str] = []

    def is_roots(path: str) -> bool:
        asked.append(path)
        return path.startswith("/nix/")

    assert find_interpreter("/nix/store/x/bin/python3.13", (), is_roots) is not None
    assert find_interpreter("/home/a/python3.13", (), is_roots) is None
    assert find_interpreter("/nix/store/x/bin/lua", ("lua",), is_roots) is not None
    assert asked == ["/nix/store/x/bin/python3.13", "/home/a/python3.13", "/nix/store/x/bin/lua"]
    assert find_interpreter("/nix/store/x/bin/curl", (), is_roots) is None
    assert find_interpreter("/usr/bin/python3", (), is_roots) is not None
    assert len(asked) == 3, "asked of what needs no look"


@pytest.mark.parametrize(
    ("executable", "argv", "index"),
    [
        ("/usr/bin/python3", ["python3", "-uB", "a.py"], 2),
        ("/usr/bin/bash", ["bash", "-o"], None),
        ("/usr/bin/bash", ["bash", "-o", "errexit", "-O", "extglob", "+x", "f"], 6),
        ("/usr/bin/bash", ["bash", "--", "-odd"], 2),
        ("/usr/bin/bash", ["bash", "--", "-"], None),
        ("/usr/bin/bash", ["bash", "-euxo"], None),
        ("/usr/bin/dash", ["dash", "-o", "nounset", "f"], 3),
        ("/usr/bin/dash", ["dash", "-oe", "stdin", "f"], None),
        ("/usr/bin/zsh", ["zsh", "-fo", "no_unset", "f"], 3),
        ("/usr/bin/zsh", ["zsh", "-fo", "SHIN_ST_DIN", "f"], None),
        ("/usr/bin/zsh", ["zsh", "+o", "noshinstdin", "f"], None),
        ("/usr/bin/zsh", ["zsh", "+o", "s" + "_" * 64, "f"], None),
        ("/usr/bin/python3", ["python3", ""], None),
        ("/usr/bin/python3", ["python3", "-c", "a.py"], None),
        ("/usr/bin/python3", ["python3", "@a.py"], None),
        ("/usr/bin/bash", ["bash", "+Z", "f"], None),
        ("/usr/bin/java", ["java", "-jar"], None),
        ("/usr/bin/java", ["java", "--", "a.jar"], None),
        ("/usr/bin/java", ["java", "a.jar"], None),
        ("/usr/bin/java", ["java", "-Djava.awt.headless=true", "-jar", "a.jar"], 3),
        ("/usr/bin/java", ["java", "-Djava.ext.dirs=/tmp", "-jar", "a.jar"], None),
        ("/usr/bin/java", ["java", "-Djava.security.egd=file:/dev/urandom", "-jar", "a.jar"], 3),
        ("/usr/bin/java", ["java", "-Djava.security.properties=/tmp/x", "-jar", "a.jar"], None),
        ("/usr/bin/java", ["java", "-Dsun.security.jgss.lib=/tmp/x.so", "-jar", "a.jar"], None),
        ("/usr/bin/java", ["java", "-XX:OnError=sh", "-jar", "a.jar"], None),
        ("/usr/bin/java", ["java", "-XX:JVMCILibPath=/tmp", "-jar", "a.jar"], None),
        ("/usr/bin/java", ["java", "-XX:MaxRAMPercentage=75", "-jar", "a.jar"], 3),
        ("/usr/bin/php8.4", ["php", "-n", "a.php"], 2),
        ("/usr/bin/php8.4", ["php", "-f", "a.php", "x", "-d"], 2),
        ("/usr/bin/php8.4", ["php", "-f", "a.php", "--", "-d"], 2),
        ("/usr/bin/php8.4", ["php", "-f", "a.php", "-d", "auto_prepend_file=/tmp/x"], None),  # it still takes options
        ("/usr/bin/php8.4", ["php", "-f", "a.php", ""], None),  # perhaps cut
        ("/usr/bin/java", ["java", "-jar", "a.jar", "-d"], 2),
        ("/usr/bin/php8.4", ["php", "-n", "--", "a.php"], None),  # it reads standard input: php_cli.c, do_cli()
    ],
)
def test_find_script(executable: str, argv: list[str], index: int | None) -> None:
    interpreter = find_interpreter(executable)
    assert interpreter is not None
    assert interpreter.find_script(argv) == index


@pytest.mark.parametrize(
    "command",
    [
        ("python3", "-W", "ignore", "-uX", "dev", "-Xutf8", "--check-hash-based-pycs", "never"),
        ("bash", "--rcfile", "/dev/null"),
        ("bash", "-euo", "pipefail", "+O", "extglob"),
        ("dash", "-eo", "nounset"),
        ("zsh", "--emulate", "sh", "-o", "errexit"),
        ("perl", "-CSD", "-0777", "-l012"),
        ("perl", "-T -w"),
        ("ruby", "--disable", "gems", "--external-encoding", "utf-8", "-E", "utf-8", "--backtrace-limit", "3"),
        ("node", "--title", "x", "-C", "x", "--max-http-header-size", "8192", "--disable-proto", "delete"),
        ("php", "-nd", "memory_limit=-1", "-dlog_errors"),
    ],
)
def test_the_interpreters_themselves_agree(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each runs the script at the place that the table says, with the words behind it as arguments."""
    path, name = shutil.which(command[0], path="/usr/bin:/usr/local/bin:/bin"), command[0].rstrip("3")
    if path is None:
        pytest.skip(f"no {name} here")
    script = tmp_path / "script"
    script.write_text(SCRIPTS.get(name, 'echo "$*"\n'))
    argv = [*command, str(script), "a", "-b"]
    interpreter = find_interpreter(path)
    assert interpreter is not None
    assert interpreter.find_script(argv) == len(command)
    done = subprocess.run([path, *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "a -b"


def test_an_interpreter_without_an_entry_takes_no_options() -> None:
    """What `--` means to it is not known: tclsh would read standard input."""
    interpreter = find_interpreter("/usr/bin/tclsh8.6", ("tclsh8.6",))
    assert interpreter is not None
    found = [
        interpreter.find_script(["tclsh", *words]) for words in (("a.tcl", "--"), ("--", "a.tcl"), ("-x", "a.tcl"))
    ]
    assert found == [1, None, None]


def test_an_extra_path_of_a_known_name_takes_the_options_of_that_one() -> None:
    interpreter = find_interpreter("/home/a/python3", ("/home/a/python3",))
    assert interpreter is not None
    assert interpreter.find_script(["python3", "-W", "error", "a.py"]) == 3


@pytest.mark.parametrize("name", ["python3", "bash", "zsh", "perl", "ruby", "node", "php", "java"])
@pytest.mark.parametrize("word", ["--", "-", "--config", "--snapshot", "--env-", "-o", "-XX:", "-D", "-W", "-X"])
def test_no_argument_takes_long(name: str, word: str) -> None:
    """Users choose arguments: one of 128 KiB once held up the daemon for a minute."""
    interpreter = find_interpreter(f"/usr/bin/{name}")
    assert interpreter
    began_s = time.process_time()
    interpreter.find_script([name, word[:2] + word[2:] * 10_000, "script"])
    interpreter.find_script([name, word * 10_000, "script"])
    assert time.process_time() - began_s < 1
