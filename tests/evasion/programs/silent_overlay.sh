# Runs a program from an overlay over a FUSE of its user's own, and then stops the FUSE: a process that looks at the
# program's file waits for ever, also root's. By way of /proc/PID/root its path leads there outside this namespace, too.
# Prints "silent" when the program runs.
#   silent_overlay.sh CLOSED_MOUNT SOURCE PLACE [ARGUMENT ...]
python3 -S "$1" "$2" "$3/lower" 0 0 >/dev/null & server=$!
place=$3
shift 3
until test -e "$place/lower/program"; do sleep 0.1; done
mount -t tmpfs none "$place/upper" && mkdir "$place/upper/upper" "$place/upper/work"
layers=lowerdir=$place/lower,upperdir=$place/upper/upper,workdir=$place/upper/work
mount -t overlay -o "$layers" none "$place/merged" || exit 1
sleep 1000 & holder=$!
cd "/proc/$$"  # /proc itself is covered next
mount -t tmpfs none /proc
path=/proc/$holder/root$place/merged
mkdir -p "$path" && mount --bind "$place/merged" "$path"
(
    until readlink exe | grep -q merged/program; do sleep 0.1; done
    cat "$path/program" >/dev/null # its pages are in memory after that, and need no answer
    kill -STOP $server
    echo "silent"
) &
exec "$path/program" "$@"
