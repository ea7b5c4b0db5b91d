"""The world outside, beyond the veth: dnsmasq as resolver, nginx with and without TLS, a UDP echo; all of them real."""

import functools
import subprocess
import sys
from pathlib import Path

from tests.lab.namespaces import Namespaces, configure

WORLD4 = "10.77.0.1"
WORLD6 = "fd77::1"
HOST4 = "10.77.0.2"
HOST6 = "fd77::2"
MORE_WORLD4 = [f"10.77.0.{number}" for number in range(3, 43)]  # further remotes, all of them served
PAGE_NAMES = [  # what a present-day web page loads from: 40 names of five domains, each with an address of its own
    f"n{number}.{('page', 'cdn', 'img', 'font', 'ads')[number % 5]}.test" for number in range(40)
]
SHARED4 = "10.77.0.50"
ECHO_PORT = 7
PROGRAMS = Path(__file__).parent / "programs"

_DNSMASQ = f"""
no-hosts
no-resolv
port=53
listen-address={WORLD4},{WORLD6}
bind-interfaces
user=root
log-facility=-
cache-size=0
local-ttl=600
address=/test/
host-record=shop.test,{WORLD4},{WORLD6}
host-record=example.com,google.com,{WORLD4},{WORLD6}
host-record=four.test,{WORLD4}
host-record=six.test,{WORLD6}
cname=alias.test,shop.test
cname=far.test,alias.test
host-record=evilshop.test,shop.test.evil.test,{WORLD4}
host-record=xn--bcher-kva.test,{WORLD4}
host-record=here.test,127.0.0.1
host-record=first.shared.test,{SHARED4}
host-record=second.shared.test,{SHARED4}
host-record=asked.shared.test,{SHARED4}
"""
_DNSMASQ += "".join(f"host-record=big.test,{address}\n" for address in MORE_WORLD4)  # too large for a datagram
_DNSMASQ += "".join(f"host-record={name},{address}\n" for name, address in zip(PAGE_NAMES, MORE_WORLD4, strict=True))

_NGINX = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  log_format host "$host $server_addr";
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 80 backlog=4096; listen [::]:80 backlog=4096; listen 8080; listen [::]:8080;
    listen 443 ssl; listen [::]:443 ssl;
    {quic}
    ssl_certificate {folder}/tls.pem; ssl_certificate_key {folder}/tls.pem;
    root {folder}/www;
    location /slow/ {{ limit_rate 500k; alias {folder}/www/; }}
  }}
}}
"""
_QUIC = """
    listen 444 quic; listen [::]:444 quic;
    access_log {folder}/quic.log host if=$http3;
"""


class World:
    """Starts the servers and waits for the line with which each says that it listens."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._folder = namespaces.folder / "world"
        self._folder.mkdir()
        world4 = [f"{address}/24" for address in (WORLD4, *MORE_WORLD4, SHARED4)]
        configure(namespaces.world, [*world4, f"{WORLD6}/64"])
        configure(namespaces.host, [f"{HOST4}/24", f"{HOST6}/64"])
        self._start_dns()
        self._start_web()
        self.start([sys.executable, "-S", str(PROGRAMS / "udp_echo.py"), str(ECHO_PORT)], "listening")

    def start(self, command: list[str], ready: str) -> None:
        """Run a server in the world until the lab ends; this returns once it has printed a line with `ready`."""
        self._namespaces.start_server(self._namespaces.enter_world() + command, ready)

    def _start_dns(self) -> None:
        config = self._folder / "dnsmasq.conf"
        config.write_text(_DNSMASQ)
        self.start(["dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--pid-file="], "started")

    def _start_web(self) -> None:
        site = self._folder / "www"
        site.mkdir()
        (site / "index.html").write_text("welcome to the shop\n")
        with (site / "large").open("wb") as large:
            large.truncate(3_000_000)
        (self._folder / "tls.pem").write_text(_certificate())
        config = self._folder / "nginx.conf"
        quic = _QUIC.format(folder=self._folder) if serves_quic() else ""
        config.write_text(_NGINX.format(folder=self._folder, quic=quic))
        self.start(["nginx", "-e", "stderr", "-c", str(config), "-p", str(self._folder)], "start worker processes")


@functools.cache
def serves_quic() -> bool:
    """Whether this nginx speaks QUIC: Debian's does from 1.25 on; Ubuntu 24.04 has an older one."""
    return "http_v3" in subprocess.run(["nginx", "-V"], capture_output=True, text=True).stderr


@functools.cache
def _certificate() -> str:
    """With its key, as PEM."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", "-", "-days", "2", "-subj", "/CN=shop.test"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
