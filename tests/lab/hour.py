"""A developer's hour in the lab: what a person types, each thing against names of the world, and what it needs there.

All names are in `test.`, and each has an address of its own. A program that is not installed is stood in for by a small
one under its file name, which connects to the URLs among the same arguments; where there are none, it is left out.
"""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import read_until
from tests.lab.scripted_person import Asked, ScriptedPerson
from tests.lab.stubs import set_resolvers
from tests.lab.world import HOST4, PROGRAMS, SHARED4, WORLD4

NAMES = (
    *("api.shop.test", "www.shop.test", "staging.shop.test", "get.tool.test", "ppa.tool.test", "dl.release.test"),
    *("deb.release.test", "security.release.test", "status.cloud.test", "hooks.chat.test", "build.corp.test"),
    *("db.corp.test", "code.test", "python.test", "files.wheels.test", "packages.node.test"),
    *("www.news.test", "img.news.test", "static.news.test", "a.cdn.test", "b.cdn.test", "c.cdn.test"),
    *("fonts.type.test", "stats.count.test", "ads.banner.test"),
)
APT_SOURCES = ("deb.release.test", "security.release.test", "ppa.tool.test")
VISITOR = "visitor: "  # a line that another machine of the link runs
_NETWORK = "198.18.0.0/15"
_NAME_SERVER = "198.18.0.53"  # asked by its name, ns1.dns.test
_PLACES = "/usr/bin:/bin:/usr/sbin"

LINES = """
curl -sk https://api.shop.test/items
curl -sk https://api.shop.test/items/7
curl -sk https://api.shop.test/items?page=2
curl -sk -X POST -d name=tea https://api.shop.test/orders
curl -sk -H 'Authorization: Bearer {token}' https://api.shop.test/me
curl -skI https://www.shop.test/
curl -sk https://www.shop.test/robots.txt
curl -skL https://get.tool.test/install.sh
curl -skL https://get.tool.test/install.sh -o {folder}/install.sh
curl -sk https://dl.release.test/tool-1.2.tar -o {folder}/tool.tar
curl -sk https://dl.release.test/tool-1.3.tar -o {folder}/tool.tar
curl -sk https://dl.release.test/tool-1.4.tar -o {folder}/tool.tar
curl -s http://staging.shop.test:8080/health
curl -s http://staging.shop.test:8080/metrics
curl -sk https://status.cloud.test/
curl -sk -d text=done https://hooks.chat.test/T1
curl -sk -d text=again https://hooks.chat.test/T1
wget -q --no-check-certificate -O {folder}/notes https://dl.release.test/notes-1.2
wget -q --no-check-certificate -O {folder}/notes https://dl.release.test/notes-1.3
dig +short shop.test
dig +short @ns1.dns.test api.shop.test
dig +short @ns1.dns.test www.shop.test AAAA
ping -c1 build.corp.test
ping -c2 -i0.2 build.corp.test
ssh -F {folder}/ssh_config build.corp.test uptime
ssh -F {folder}/ssh_config build.corp.test df -h /
ssh -F {folder}/ssh_config build.corp.test tail /etc/hostname
ssh -F {folder}/ssh_config build.corp.test cat /proc/loadavg
ssh -F {folder}/ssh_config db.corp.test id
scp -q -F {folder}/ssh_config {folder}/notes build.corp.test:{folder}/notes.1
scp -q -F {folder}/ssh_config {folder}/notes build.corp.test:{folder}/notes.2
git clone -q http://code.test/app.git {folder}/app
git -C {folder}/app fetch -q
git ls-remote -q http://code.test/lib.git
git -c core.sshCommand='ssh -F {folder}/ssh_config' ls-remote -q root@build.corp.test:{folder}/world/www/app.git
pip download -q --no-deps --no-cache-dir -d {folder} --trusted-host=* --index-url=http://python.test/simple demo
pip download -q --no-deps --no-cache-dir -d {folder} --trusted-host=* --index-url=http://python.test/simple other
npm view --registry=http://packages.node.test left-pad version
npm view --registry=http://packages.node.test right-pad version
apt-get -qq -c {folder}/apt.conf update
apt-get -qq -c {folder}/apt.conf update
/usr/bin/python3 {folder}/report.py
/usr/bin/python3 {folder}/report.py --month 2
/usr/bin/python3 -c 'from urllib.request import urlopen; urlopen("http://api.shop.test/one")'
/usr/bin/python3 -c 'from urllib.request import urlopen; urlopen("http://api.shop.test/two")'
node {folder}/fetch.js http://api.shop.test/
node {folder}/fetch.js http://api.shop.test/ --again
visitor: curl -s http://{host}:8000/
visitor: curl -s http://{host}:8000/notes
chromium {headless} --user-data-dir={folder}/profile http://www.news.test/page.html
chromium {headless} --user-data-dir={folder}/profile http://www.news.test/other.html
"""
TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
_VALUES = {
    "host": HOST4,
    "token": TOKEN,
    "headless": "--headless --no-sandbox --disable-gpu --timeout=60000 --dump-dom",
}
# What a person would not type, or does not need to read.
_SHORT = {"{folder}/": "", "{folder}": ".", "{headless} --user-data-dir=profile ": "", "{token}": "…", "{host}": "HERE"}
_REPORT = 'from urllib.request import urlopen\n\nurlopen("http://api.shop.test/report").read()\n'
_FETCH = "require('http').get(process.argv[2], answer => answer.resume())\n"
_SSH = """
User root
IdentityFile {folder}/key
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
BatchMode yes
"""
_SSHD = """
Port 22
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""
_APT = """
Dir::Etc::sourcelist "{folder}/apt/sources";
Dir::Etc::sourceparts "-";
Dir::State::lists "{folder}/apt/lists";
Dir::Cache "{folder}/apt/cache";
"""
_FILES = """
items me orders install.sh robots.txt one two report
tool-1.2.tar tool-1.3.tar tool-1.4.tar notes-1.2 notes-1.3 health metrics
"""
# A page as they are today: a script from elsewhere, which loads a font, and then all the rest at once.
_PAGE = '<html><head></head><body><script src="http://a.cdn.test/app.js"></script></body></html>'
_APP = """
const font = document.createElement("link");
font.rel = "stylesheet";
font.href = "http://fonts.type.test/font.css";
font.onload = font.onerror = () => {
  for (const name of "img.news static.news b.cdn c.cdn stats.count ads.banner".split(" ")) {
    document.body.appendChild(new Image()).src = `http://${name}.test/dot.svg`;
  }
};
document.head.appendChild(font);
"""
_SHARED = "cdn fonts ads stats tags video login maps"
_INDEX = '<a href="http://files.wheels.test/{name}-1.0-py3-none-any.whl">{name}-1.0-py3-none-any.whl</a>\n'
_PACKAGE = """
{"name": "%s-pad", "dist-tags": {"latest": "1.0.0"},
 "versions": {"1.0.0": {"name": "%s-pad", "version": "1.0.0"}}}
"""


class Done(NamedTuple):
    """One line of the hour, as it went."""

    line: str  # as it is shown
    asked: list[Asked]
    remark: str  # what stood in for it, or that it failed


class Hour:
    """The world of the hour. To be made before the daemon starts."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._folder = lab.folder
        self._site = lab.folder / "world" / "www"
        give_names(lab, NAMES)
        self._lay_out_files()
        self._lay_out_site()
        self._start_ssh()

    def play(self, daemon: Daemon, keys: str, lines: list[str]) -> list[Done]:
        """Run the lines, one after the other, while a person answers each question with these keys."""
        shutil.rmtree(self._folder / "app", ignore_errors=True)
        for wheel in self._folder.glob("*.whl"):
            wheel.unlink()
        server = self._lab.spawn(["/usr/bin/python3", "-u", "-m", "http.server", "--bind", HOST4, "8000"])
        read_until(server, lambda said: "Serving" in said[-1])
        person = ScriptedPerson(daemon.socket, keys)
        try:
            return [self._do(line, person) for line in lines]
        finally:
            person.leave()
            server.terminate()
            server.wait()

    def _do(self, line: str, person: ScriptedPerson) -> Done:
        before = len(person.asked)
        shown = line
        for name, short in _SHORT.items():
            shown = shown.replace(name, short)
        written = line.removeprefix(VISITOR).format(folder=self._folder, **_VALUES)
        program, *words = shlex.split(written)
        found = shutil.which(program, path=_PLACES)
        if found is None and "http" not in line:
            return Done(shown, [], f"left out: no {program} here")
        path = found or str(make_stand_in(self._lab, program, starts_itself=program == "chromium"))
        run = self._lab.run_world if line.startswith(VISITOR) else self._lab.run
        done = run([path, *words])
        failure = f"failed: {done.stderr.strip()[-200:] or done.returncode}" if done.returncode else ""
        return Done(shown, person.asked[before:], failure or ("" if found else f"no {program} here: stood in for"))

    def _lay_out_files(self) -> None:
        for name in ("apt/lists/partial", "apt/cache/archives/partial"):
            (self._folder / name).mkdir(parents=True)
        sources = "".join(f"deb [trusted=yes] http://{name}/debian/ ./\n" for name in APT_SOURCES)
        for name, text in (
            ("report.py", _REPORT),
            ("fetch.js", _FETCH),
            ("notes", "notes\n"),
            ("apt/sources", sources),
        ):
            (self._folder / name).write_text(text)
        for name, text in (("ssh_config", _SSH), ("sshd_config", _SSHD), ("apt.conf", _APT)):
            (self._folder / name).write_text(text.format(folder=self._folder))
        subprocess.run(["chown", "-R", "_apt", str(self._folder / "apt")], check=True)

    def _lay_out_site(self) -> None:
        files = {name: "{}" for name in _FILES.split()}
        files |= {"page.html": _PAGE, "other.html": _PAGE, "app.js": _APP}
        files |= {f"{name}-pad": _PACKAGE % (name, name) for name in ("left", "right")}
        files |= {f"simple/{name}/index.html": _INDEX.format(name=name) for name in ("demo", "other")}
        files |= {"debian/Packages": "", "debian/Release": "Date: Thu, 01 Jan 2026 00:00:00 UTC\n"}
        for path, text in files.items():
            (self._site / path).parent.mkdir(parents=True, exist_ok=True)
            (self._site / path).write_text(text)
        for name in ("demo", "other"):
            _make_wheel(self._site / f"{name}-1.0-py3-none-any.whl", name)
        for name in ("app", "lib"):
            _make_repository(self._site / f"{name}.git")

    def _start_ssh(self) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / "key")], check=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(self._folder / "sshd_config")]
        self._lab.namespaces.start_server(self._lab.namespaces.enter_world() + command, "listening on")


def pass_hour(lab: Lab, daemon: Daemon) -> Daemon:
    """The daemon an hour later, when the rules for some minutes are over."""
    assert daemon.stop() == 0, daemon.describe()
    (daemon.rules.parent / "state" / "temporary.rules").unlink(missing_ok=True)
    return lab.restart_daemon(daemon.rules.parent)


def browse(lab: Lab, keys: str, sites: int) -> tuple[Daemon, list[Asked]]:
    """Have a browser open sites one after the other, each of which loads from all its names at once; what was asked."""
    names = [names_of_site(number) for number in range(sites)]
    give_names(lab, [name for of_site in names for name in of_site])
    browser = str(make_stand_in(lab, "browser", starts_itself=True))
    daemon = lab.start_daemon(None)
    person = ScriptedPerson(daemon.socket, keys)
    try:
        for of_site in names:
            done = lab.run([browser, *(f"https://{name}/" for name in of_site)])
            assert done.returncode == 0, f"{done.stderr}\n{daemon.describe()}"
    finally:
        person.leave()
    return daemon, person.asked


def names_of_site(number: int) -> list[str]:
    """Twelve: four of its own, and one in each domain from which all sites load."""
    own = [f"{name}.site{number}.test" for name in ("www", "img", "api", "static")]
    return own + [f"s{number}.{domain}.test" for domain in _SHARED.split()]


def give_names(lab: Lab, names: Sequence[str]) -> None:
    """Give each name an address of its own in the world, and have them asked for at a resolver there."""
    namespaces = lab.namespaces
    for netns, words in (
        (namespaces.world, f"address add {_NAME_SERVER}/32 dev lo"),
        (namespaces.world, f"route add local {_NETWORK} dev lo"),
        (namespaces.host, f"route add {_NETWORK} via {WORLD4}"),
    ):
        subprocess.run(["ip", "-n", netns, *words.split()], check=True)
    addresses = {name: f"198.18.{1 + place // 200}.{1 + place % 200}" for place, name in enumerate(names)}
    addresses["ns1.dns.test"] = _NAME_SERVER
    settings = ["no-hosts", "no-resolv", "bind-interfaces", "user=root", "log-facility=-", "address=/test/"]
    settings += [f"listen-address={address}" for address in (SHARED4, _NAME_SERVER)]
    settings += [f"host-record={name},{address}" for name, address in addresses.items()]
    config = lab.folder / "names.conf"
    config.write_text("\n".join(settings))
    command = ["dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--pid-file="]
    namespaces.start_server(namespaces.enter_world() + command, "started")
    set_resolvers(lab, SHARED4)


def make_stand_in(lab: Lab, name: str, *, starts_itself: bool) -> Path:
    """A program of that name that connects to the URLs among its arguments."""
    program = lab.folder / "stand-ins" / name
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        flags = ["-O1", "-Wall", "-Werror", "-pthread", *(["-DSTARTS_ITSELF"] if starts_itself else [])]
        subprocess.run(["gcc", *flags, "-o", str(program), str(PROGRAMS / "stand_in.c")], check=True)
    return program


def _make_wheel(path: Path, name: str) -> None:
    about = f"{name}-1.0.dist-info"
    with ZipFile(path, "w") as wheel:
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def _make_repository(bare: Path) -> None:
    make = """
    git init -q "$0.work"; cd "$0.work"; git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m x
    git clone -q --bare . "$0"; git -C "$0" update-server-info
    """
    subprocess.run(["sh", "-ec", make, str(bare)], check=True)
