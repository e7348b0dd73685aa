#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sandbox.sh COMMAND ...: runs it with process ids, named network namespaces and run
# directories of its own. However it ends, the kernel removes them with the processes,
# and two runs at a time cannot meet. Needs root.
set -eu
if [ "${NINES_SANDBOX:-}" != inside ]; then
	[ "$(id -u)" -eq 0 ] || exec sudo -E "$0" "$@"
	export NINES_SANDBOX=inside
	exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
		"$0" "$@"
fi
for folder in /run/netns /run/nines /run/nines-lab /run/nines-vpn /run/wireguard; do
	mkdir -p "$folder"
	mount -t tmpfs -o mode=755 none "$folder"
done
unset NINES_SANDBOX
export NINES_ALONE=1 # every namespace in here is ours
# The shell stays as process 1, which collects orphans; signals are for the command.
trap : INT TERM
"$@"
exit $?
