# Sourced by the scripts that people call: fail() ends them with an error and a hint, as the commands end.

fail() { # message, hint
	printf 'tinysnitch: error: %s\ntinysnitch: hint: %s\n' "$1" "$2" >&2
	exit 1
}
