"""What is chosen before anyone chose: nine minutes, this name and port, and these arguments.

Left open is what will be another the next time, for a rule with it would be asked for again and again:

1. Arguments that a program gave to itself. Browsers and their like start themselves anew for each task, with numbers
   that are never the same again (`--field-trial-handle=3,i,8459356107866096316`). Interpreters and shells run anything,
   so for them it stays with these; but for workers, whose rule then names who started them (core/workers.py).
2. Arguments of helpers, which other programs start. What they are stands below, beside the name of each.
3. What a program of a desktop was started for: a link, a mail, a torrent, a film. It connects to all else from that
   same process, and a menu starts it for nothing, so that `()` would not match the next link. Likewise what a flatpak
   is given to open (`flatpak run ID URL`), while the rule is for all that it runs. Arguments that name a profile of
   Firefox stay, unless Selenium or Playwright made it for a moment.
4. A port that the kernel chose, where a program asked all the link over UDP (SSDP, say), and each machine that answers
   is a question of its own: with browsers the port is another two minutes later. The same goes for a service that
   answers whoever asked the link (Avahi, say): the question went to the group, the answer is a talk of its own.
5. Ports that are counted up, one for each probe or session, and those that a talk at another port has told, as of FTP
   (told_ports.py).

What a service talks with the link is for all of it to begin with (core/link_talk.py).
"""

import re

import msgspec

from tinysnitch.core.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.connection import Connection
from tinysnitch.core.flow import UDP, Direction, Flow
from tinysnitch.core.interpreters import is_called_like_one
from tinysnitch.core.link_talk import KERNELS_PORTS
from tinysnitch.core.process import FLATPAK, Process
from tinysnitch.core.verdict import Verdict
from tinysnitch.core.workers import find_starter

_MOSH = "mosh-client"
_PROBED_PORTS = range(33434, 33534)  # traceroute(8): three probes for each of 30 hops, and room for a few more
# mtr(8) from 33000 on, for as long as it runs; tracepath(8): 44444; mosh-server(1): from 60001 on
_COUNTERS = frozenset({"mtr-packet", "tracepath", _MOSH})
_NETWORK_HELPERS = frozenset(
    {
        # of a rootless container: with its process id, or the name of its network namespace (slirp4netns(1), pasta(1))
        *("slirp4netns", "pasta", "pasta.avx2"),
        "docker-proxy",  # publishes a port: with the address that the container got at its start
    }
)
# Of VS Code and what is made of it, on another machine: with a token or a socket. In a home it is run by a Node.js of
# its own.
_SERVER_MAIN = "server-main.js"
_VSCODE = re.compile(r"/.*/\.[^/]+-server/.*/node", re.DOTALL)
_WORKERS = frozenset(
    {
        # For programs of a desktop: with numbers of descriptors or of the session bus, or the name of a socket.
        *("WebKitNetworkProcess", "WPENetworkProcess"),  # ProcessLauncher of WebKit
        *("jcef_helper", "obs-browser-page"),  # of Chromium within an IDE of JetBrains, or OBS
        *("kioworker", "kioslave5"),  # ConnectionBackend of KIO
        "__pip-runner__.py",  # BuildEnvironment of pip: with a folder of this build
        "workerd",  # Runtime of miniflare: with a port of the moment
        "smbspool",  # CUPS's way to a printer of Windows: below its backends there is only a link to it
        "msmtp",  # for mutt, git and cron: with the recipients
        _MOSH,  # with the port
        _SERVER_MAIN,
    }
)
_PRINTING = re.compile(r"/.*/cups/backend/[^/]+", re.DOTALL)  # backend(7): job, user, title, copies, options
_PIPENV = "/pipenv/resolver/main.py"  # resolve() of it: with the names of two files of the moment
# Of git, with http, https and what further names lead to: with the address of each repository, and a clone with
# submodules has many.
_GIT = "git-remote-"
_GVFS = "gvfsd-"  # each protocol has its own: gvfsd-dav, gvfsd-smb; likewise for programs of a desktop
_WITH_PROFILES = frozenset(  # Firefox and what is made of it
    {"firefox", "firefox-esr", "firefox-bin", "librewolf", "waterfox", "floorp", "thunderbird", "thunderbird-bin"}
)
_PROFILE = frozenset({"-P", "-p", "-profile", "--profile"})  # of a person who keeps several apart
_OPENERS = frozenset(
    {
        *("claws-mail", "evolution"),
        *("qbittorrent", "qbittorrent-nox", "transmission-gtk", "transmission-qt", "ktorrent"),
        *("mpv", "vlc"),
    }
)


def choose_first(connection: Connection, is_for_user: bool = False) -> Choice:
    first = Choice(verdict=Verdict.ALLOW, is_for_user=is_for_user)  # the verdict comes with the answering key
    process = connection.attribution.process
    if process is None:
        return first
    called = process.program.rpartition("/")[2]
    is_other_next_time = _started_itself(process) or _is_helper(process, called) or _was_opened_for(process, called)
    any_args = is_other_next_time or _is_told_by_starter(connection, process)
    any_port = connection.is_port_told or _is_of_the_moment(connection.flow, called)
    remote = RemoteScope.DOMAIN if connection.is_link_talk else first.remote
    return msgspec.structs.replace(first, remote=remote, any_args=any_args, any_port=any_port)


def choose_first_for_ever(connection: Connection) -> Choice:
    return msgspec.structs.replace(choose_first(connection), lifetime=Lifetime.FOREVER)


def _is_of_the_moment(flow: Flow, called: str) -> bool:
    """Whether the port will be different next time."""
    if flow.protocol != UDP:
        return False
    if flow.direction is Direction.INBOUND:
        return flow.local_port in KERNELS_PORTS
    is_answer = flow.remote_port in KERNELS_PORTS and flow.local_port not in KERNELS_PORTS
    return is_answer or flow.remote_port in _PROBED_PORTS or called in _COUNTERS


def _is_helper(process: Process, called: str) -> bool:
    is_known = called in _NETWORK_HELPERS or called in _WORKERS or called.startswith((_GVFS, _GIT))
    is_found = process.program.endswith(_PIPENV) or _PRINTING.fullmatch(process.program) is not None
    return is_known or is_found or _is_vscodes(process)


def _is_vscodes(process: Process) -> bool:
    folder = process.program.removesuffix("/node")
    return process.args[:1] == (f"{folder}/out/{_SERVER_MAIN}",) and _VSCODE.fullmatch(process.program) is not None


def _was_opened_for(process: Process, called: str) -> bool:
    """A link, a mail, a torrent, a film, or nothing, for what a menu started; tomorrow it will be another one of these.

    What drives Firefox (Selenium, Playwright) makes it a profile of the moment.
    """
    if called in _OPENERS:
        return True
    if called in _WITH_PROFILES:
        is_of_moment = any("://" in arg or arg.startswith("/tmp/") for arg in process.args)
        return is_of_moment or _PROFILE.isdisjoint(process.args)
    is_boxed = not process.is_host_file and any(owner.startswith(FLATPAK) for owner in process.owners)
    return is_boxed and any("://" in arg for arg in process.args)


def _is_told_by_starter(connection: Connection, process: Process) -> bool:
    """Whether a rule for any arguments is for the workers of one program. It has room for one parent, and that of a
    rule that asks may have started more."""
    starter = find_starter(process)
    return starter is not None and connection.asking.parent in (None, starter)


def _started_itself(process: Process) -> bool:
    parent = process.parents[0] if process.parents else ""
    is_same = parent == process.program == process.executable
    return is_same and bool(process.args) and not is_called_like_one(process.executable)
