# itself.tcl HOST PORT: connects, below another tclsh that runs this. With a third word it starts that one.
lassign $argv host port child
if {$child ne ""} {
	puts [exec [info nameofexecutable] $child $host $port]
} else {
	close [socket $host $port]
	puts connected
}
