# What runs from an overlay over a file system of its user's own, which answers no more: who looks at its file waits for
# ever, root too. It has a path that leads there for others as well, by /proc. Says "silent" when the program runs.
#   silent_overlay.sh CLOSED_MOUNT SOURCE PLACE [ARGUMENT ...]
python3 -S "$1" "$2" "$3/lower" 0 0 >/dev/null & server=$!
place=$3
shift 3
until test -e "$place/lower/program"; do sleep 0.1; done
mount -t tmpfs none "$place/upper" && mkdir "$place/upper/upper" "$place/upper/work"
layers=lowerdir=$place/lower,upperdir=$place/upper/upper,workdir=$place/upper/work
mount -t overlay -o "$layers" none "$place/merged" || exit 1
sleep 1000 & holder=$!
cd "/proc/$$"  # that of all programs is covered next
mount -t tmpfs none /proc
path=/proc/$holder/root$place/merged
mkdir -p "$path" && mount --bind "$place/merged" "$path"
(
    until readlink exe | grep -q merged/program; do sleep 0.1; done
    cat "$path/program" >/dev/null # its pages are in memory then, and need no answer
    kill -STOP $server
    echo "silent"
) &
exec "$path/program" "$@"
