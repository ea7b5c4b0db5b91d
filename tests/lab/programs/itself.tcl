# itself.tcl HOST PORT [SCRIPT]: with a SCRIPT (this file) starts it by the same interpreter; without one connects.
lassign $argv host port child
if {$child ne ""} {
	puts [exec [info nameofexecutable] $child $host $port]
} else {
	close [socket $host $port]
	puts connected
}
