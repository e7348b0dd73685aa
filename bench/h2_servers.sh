#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 from 128 clients, HTTP/2 to nginx: CPU per request beside HAProxy, and beside
# HTTP/1.1 to the same servers. Needs the driver, like proxy.sh.
set -eu
cd "$(dirname "$0")/.."
driver=${DRIVER:-../shared/bench/proxy}
[ -x "$driver/bench.sh" ] || {
	echo "bench/h2_servers.sh: no bench.sh in $driver: set DRIVER" >&2
	exit 1
}
export NINES="${NINES:-$PWD/build/release/nines}"
export ROUNDS="${ROUNDS:-5}" SECS="${SECS:-2}" BACKEND=nginx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cp -rL "$driver/." "$work"
cp bench/proxy/nines.start "$work"
sed -i 's/listen 8080;/listen 8080 http2;/' "$work/bench.sh"
sed 's/server s$i $s/server s$i $s proto h2/' "$work/haproxy.start" >"$work/haproxyh2.start"
sed 's/exec /SERVER_HTTP2=1 exec /' >"$work/ninesh2.start" <<'END'
#!/bin/sh
exec "$(dirname "$0")/nines.start" "$@"
END
chmod +x "$work"/*.start
(cd "$work" && ./bench.sh small ninesh2 haproxyh2) >"$work/rows" 2>"$work/err" || {
	cat "$work/err" >&2
	exit 1
}
sed -i 's/listen 8080 http2;/listen 8080;/' "$work/bench.sh"
(cd "$work" && ./bench.sh small nines haproxy) >>"$work/rows" 2>"$work/err" || {
	cat "$work/err" >&2
	exit 1
}
grep ^median "$work/rows"
