#!/bin/sh
# Buildroot calls this with the target's folder, once everything is in it.
set -eu
target=$1
images=$(dirname "$0")/../../../../testbed/images/domu

# The root is mounted read-only: what is mounted or written later needs a place.
while read -r folder; do
	case "$folder" in
	'' | '#'*) ;;
	*) mkdir -p "$target/$folder" ;;
	esac
done <"$images/folders.txt"

# testbed-boot does all that these would do, in one process.
rm -rf "$target/etc/init.d"

# Who may log in: TESTBED_AUTHORIZED_KEYS=~/.ssh/id_ed25519.pub make
mkdir -p "$target/root/.ssh"
chmod 700 "$target/root" "$target/root/.ssh"
if [ -n "${TESTBED_AUTHORIZED_KEYS:-}" ]; then
	cp "$TESTBED_AUTHORIZED_KEYS" "$target/root/.ssh/authorized_keys"
	chmod 600 "$target/root/.ssh/authorized_keys"
fi
