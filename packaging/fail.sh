# Read by the scripts for people: how they end when they cannot do what they are for.

fail() { # message, hint
	printf 'tinysnitch: error: %s\ntinysnitch: hint: %s\n' "$1" "$2" >&2
	exit 1
}
