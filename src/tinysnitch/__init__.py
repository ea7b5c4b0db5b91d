"""tinysnitch: an interactive firewall for Linux."""

__version__ = "0.1.0"
