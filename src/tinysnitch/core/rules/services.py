"""Names of well-known ports (IANA, Service Name and Transport Protocol Port Number Registry): for people only."""

_NAMES = {
    20: "ftp-data",
    21: "ftp",
    22: "ssh",
    23: "telnet",
    25: "smtp",
    53: "domain",
    67: "dhcp",
    68: "dhcp",
    80: "http",
    110: "pop3",
    111: "sunrpc",
    123: "ntp",
    137: "netbios-ns",
    139: "netbios-ssn",
    143: "imap",
    161: "snmp",
    389: "ldap",
    443: "https",
    445: "smb",
    465: "smtps",
    514: "syslog",
    554: "rtsp",
    587: "submission",
    631: "ipp",
    636: "ldaps",
    853: "dns over tls",
    873: "rsync",
    993: "imaps",
    995: "pop3s",
    1194: "openvpn",
    1900: "ssdp",
    2049: "nfs",
    3306: "mysql",
    3389: "rdp",
    3478: "stun",
    3702: "ws-discovery",
    5222: "xmpp",
    5351: "nat-pmp",
    5353: "mdns",
    5355: "llmnr",
    5432: "postgresql",
    5900: "vnc",
    6379: "redis",
    6667: "irc",
    6697: "ircs",
    8080: "http-alt",
    8443: "https-alt",
    9418: "git",
    51820: "wireguard",
}
_PORTS = {name: port for port, name in reversed(_NAMES.items())}  # of the two ports of dhcp the server's


def find_service(port: int) -> str | None:
    """The service that is usually at a port; programs need not keep to it."""
    return _NAMES.get(port)


def find_port(service: str) -> int | None:
    return _PORTS.get(service)
