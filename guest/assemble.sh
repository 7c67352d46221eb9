#!/bin/sh
# Puts the guest's root together, lets the agent warm its compile cache in it, and makes a file
# system of it. Runs as root or as root of a user namespace; mounts no image and needs no loop
# device.
#
# BASE_TAR  what mmdebstrap made          AGENT_TREE  `node_modules`, patched and pruned
# FILES     the files of the recipe       WORK        an empty directory, removed at the end
# OUT_RAW   the file system to be made    SIZE_GIB, LABEL  of it
# ENABLED, MASKED  units                  EXECUTABLES     paths below `/`
# NODE_PACKAGE  the npm package that holds Node.js for the guest's processor
# WARM      the program that warms the cache
set -eu
root=$WORK/root
say() { printf '%s\n' "== $*"; }
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
rm -rf "$WORK"
mkdir -p "$root"

say "unpack the base system"
# No device nodes: a user namespace may not make them, and the kernel brings its own.
tar --extract --file="$BASE_TAR" --directory="$root" --numeric-owner --exclude='./dev/*'
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
: >"$root/etc/machine-id"
chmod 444 "$root/etc/machine-id"

say "add the people"
# A password of `*` matches nothing and, unlike `!`, does not lock the account for ssh keys.
chroot "$root" useradd --system --uid 990 --user-group --password '*' --no-create-home \
    --home-dir /var/lib/openclaw --shell /usr/sbin/nologin openclaw
chroot "$root" useradd --system --uid 991 --user-group --password '*' --no-create-home \
    --home-dir /nonexistent --shell /usr/sbin/nologin sanctum
install -d -m 700 -o 990 -g 990 "$root/var/lib/openclaw" "$root/var/cache/openclaw"
install -d -m 755 "$root/etc/sanctum" "$root/etc/sanctum/authorized_keys.d" "$root/opt/sanctum"

say "add the agent"
mkdir "$root/opt/sanctum/agent"
cp -R --preserve=mode,timestamps,links "$AGENT_TREE" "$root/opt/sanctum/agent/node_modules"
mv "$root/opt/sanctum/agent/node_modules/$NODE_PACKAGE/bin/node" "$root/usr/local/bin/node"
rm -rf "$root/opt/sanctum/agent/node_modules/$NODE_PACKAGE"
chown -R 0:0 "$root/opt/sanctum" "$root/usr/local/bin/node"
chmod 755 "$root/usr/local/bin/node"

say "add the files of the recipe"
(cd "$FILES" && find . -type f) | while IFS= read -r file; do
    install -D -m 644 "$FILES/$file" "$root/$file"
done
for file in $EXECUTABLES; do
    chmod 755 "$root/$file"
done
for unit in $MASKED; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
for unit in $ENABLED; do
    chroot "$root" systemctl enable "$unit"
done

say "warm the compile cache"
cp "$WARM" "$root/tmp/warm-cache.mjs"
unshare --mount --net -- sh -eu -c '
    mount --rbind /dev "$1/dev"
    mount --rbind /proc "$1/proc"
    chroot "$1" ip link set lo up
    chroot --userspec=990:990 --groups= "$1" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin \
        /usr/local/bin/node /tmp/warm-cache.mjs
' sh "$root"
rm -rf "$root/tmp/warm-cache.mjs" "$root/tmp/openclaw" "$root"/tmp/warm-*

say "make the file system"
rm -f "$OUT_RAW"
mkfs.ext4 -q -F -L "$LABEL" -d "$root" -E lazy_itable_init=1,discard,root_owner=0:0 \
    "$OUT_RAW" "${SIZE_GIB}G"
