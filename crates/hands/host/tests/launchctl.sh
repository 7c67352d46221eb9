#!/bin/sh
# A stand-in for launchctl: `launchctl.sh FOLDER VERB …`. It keeps what it knows in FOLDER and
# follows what is documented and reported of the real one, its lies among them.
#
# Jobs:   LABEL.loaded (the property list), .pid, .runs, .exit, .going (unloaded, not yet gone),
#         .eio (the label may be loaded again after this moment)
# Knobs:  no-gui, no-user, disabled-LABEL, lie (exit code 0 and no process), in-progress (bootout
#         answers 36), linger-ms and eio-ms (after bootout)
# Calls are appended to the file `calls`.
folder=$1
shift
cd "$folder" || exit 64
echo "$*" >>calls
uid=$(id -u)
now() { echo $(($(date +%s%N) / 1000000)); }
knob() { cat "$1" 2>/dev/null || echo 0; }
fail() { echo "$2" >&2; exit "$1"; }
# A process that waits to be collected has ended.
alive() { [ -n "$1" ] && [ -r "/proc/$1/stat" ] && ! grep -q ') [ZX] ' "/proc/$1/stat"; }
pid() { cat "$label.pid" 2>/dev/null; }

domain() {
    case $1 in
    gui/"$uid") [ ! -e no-gui ] ;;
    user/"$uid") [ ! -e no-user ] ;;
    system) true ;;
    *) false ;;
    esac || fail 112 "Bad request.
Could not find domain for user gui: $uid"
}
target() {
    label=${1##*/}
    domain "${1%/*}"
    [ -e "$label.loaded" ] && [ "$(cat "$label.domain")" != "${1%/*}" ] && missing
    if [ -e "$label.going" ] && [ "$(now)" -ge "$(cat "$label.going")" ] && ! alive "$(pid)"; then
        rm -f "$label.going" "$label.loaded" "$label.pid" "$label.runs" "$label.exit"
        echo $(($(now) + $(knob eio-ms))) >"$label.eio"
    fi
}
missing() {
    fail 113 "Bad request.
Could not find service \"$label\" in domain for user gui: $uid"
}
spawn() {
    runs=$(($(knob "$label.runs") + 1))
    echo $runs >"$label.runs"
    [ -e lie ] && return
    program=$(sed -n 's/.*<!--program: \(.*\)-->.*/\1/p' "$(cat "$label.loaded")")
    # It is nobody's child once this ends, as launchd's are not ours.
    setsid sh -c "$program
echo \$? >$label.exit" </dev/null >/dev/null 2>&1 &
    echo $! >"$label.pid"
}
keep_alive() {
    grep -q KeepAlive "$(cat "$label.loaded")" && [ ! -e "$label.going" ] && ! alive "$(pid)"
}

verb=$1
case $verb in
print)
    target "$2"
    [ -e "$label.loaded" ] || missing
    keep_alive && [ "$(knob "$label.runs")" -gt 0 ] && spawn
    printf '%s = {\n\tactive count = 1\n\tpath = %s\n' "$2" "$(cat "$label.loaded")"
    if [ -e "$label.going" ]; then
        printf '\tstate = SIGTERMed\n'
    elif alive "$(pid)"; then
        printf '\tstate = running\n'
    else
        printf '\tstate = not running\n'
    fi
    printf '\n\targuments = {\n\t\tsh\n\tpid = 1\n\t}\n\n\truns = %s\n' "$(knob "$label.runs")"
    alive "$(pid)" && printf '\tpid = %s\n' "$(pid)"
    printf '\tlast exit code = %s\n' "$(cat "$label.exit" 2>/dev/null || echo '(never exited)')"
    printf '\n\tresource coalition = {\n\t\tstate = active\n\t}\n}\n'
    ;;
bootstrap)
    domain "$2"
    label=$(sed -n 's/.*<key>Label<\/key><string>\(.*\)<\/string>.*/\1/p' "$3")
    target "$2/$label"
    # Whatever is wrong, it is an input/output error.
    if [ -e "$label.loaded" ] || [ -e "disabled-$label" ] || [ "$(now)" -lt "$(knob "$label.eio")" ]; then
        fail 5 "Bootstrap failed: 5: Input/output error
Try re-running the command as root for richer errors."
    fi
    echo "$3" >"$label.loaded"
    echo "$2" >"$label.domain"
    grep -q RunAtLoad "$3" && spawn
    ;;
bootout)
    target "$2"
    [ -e "$label.loaded" ] || fail 3 "Boot-out failed: 3: No such process"
    [ -e "$label.going" ] || echo $(($(now) + $(knob linger-ms))) >"$label.going"
    alive "$(pid)" && kill -TERM "-$(pid)"
    [ -e in-progress ] && fail 36 "Boot-out failed: 36: Operation now in progress"
    ;;
kickstart)
    [ "$2" = -k ] && { again=yes; shift; }
    target "$2"
    [ -e "$label.loaded" ] || missing
    [ -e "$label.going" ] && fail 37 "Operation already in progress"
    if alive "$(pid)"; then
        [ -n "$again" ] || exit 0
        kill -KILL "-$(pid)"
    fi
    spawn
    ;;
kill)
    target "$3"
    [ -e "$label.loaded" ] || missing
    alive "$(pid)" && kill "-${2#SIG}" "-$(pid)"
    ;;
print-disabled)
    printf '\n\tdisabled services = {\n'
    for one in disabled-*; do
        [ -e "$one" ] && printf '\t\t"%s" => disabled\n' "${one#disabled-}"
    done
    printf '\t\t"com.example.other" => enabled\n\t}\n'
    ;;
*) fail 64 "Unrecognized subcommand: $verb" ;;
esac
exit 0
