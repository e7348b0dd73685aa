#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing: deps.sh GROUP ...
#   build  to compile the release
#   test   to run `make test`
#   lint   to run `make lint`
#   fuzz   to run `make fuzz`
#   demo   to run `make demo`
#   bench  to run `make bench`
# With everything there it says nothing and touches nothing. No service is started:
# nginx, haproxy and keepalived are run by tests, in network namespaces.
set -eu

build="gcc libc6-dev make meson ninja-build pkg-config libuv1-dev libfyaml-dev
	libjansson-dev libmnl-dev libssl-dev libnghttp2-dev zlib1g-dev libbrotli-dev libzstd-dev
	libcap-ng-dev libqrencode-dev libseccomp-dev linux-libc-dev"
lab="iproute2 nftables procps wireguard-go wireguard-tools"
demo="$lab nginx-light"
compare="nginx-light haproxy keepalived"
test="$lab $compare conntrack nghttp2-client libcmocka-dev python3-pytest python3-cryptography python3-brotli python3-zstandard curl openssl gnutls-bin tcpdump iputils-ping util-linux"
lint="clang-14 clang-format-14 clang-tidy-14 cppcheck binutils python3 libcmocka-dev"
fuzz="clang-14 libclang-rt-14-dev llvm-14 libcmocka-dev"
bench="$lab $compare conntrack conntrackd nghttp2-client curl openssl python3 util-linux"

want=
for group in "$@"; do
	case $group in
	build | lab | demo | test | lint | fuzz | bench) eval "want=\"$want \$$group\"" ;;
	*)
		echo "deps.sh: no group \"$group\" (build test lint fuzz demo bench)" >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps.sh: this is no Debian. Install by hand what corresponds to:" $want >&2
	exit 1
fi

missing=
for package in $want; do
	case " $missing " in *" $package "*) continue ;; esac
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	root=
elif command -v sudo >/dev/null; then
	root=sudo
else
	echo "deps.sh: missing packages, and neither root nor sudo to install them:$missing" >&2
	exit 1
fi

echo "deps.sh: installing the Debian packages$missing"

# Debian starts services when it installs them, unless this file forbids it.
policy=/usr/sbin/policy-rc.d
saved=$policy.before-nines
undo() {
	trap '' INT TERM
	$root rm -f "$policy"
	[ ! -e "$saved" ] || $root mv "$saved" "$policy"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[ ! -e "$policy" ] || [ -e "$saved" ] || $root mv "$policy" "$saved"
printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
$root chmod 755 "$policy"

get() {
	$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
		install --no-install-recommends $missing
}
# The lists may be missing or too old: then they are fetched, once.
if ! get; then
	echo "deps.sh: fetching the package lists"
	$root apt-get -q update
	get
fi
# What came new must not start at the next boot either.
for service in nginx haproxy keepalived conntrackd; do
	case " $missing " in
	*" $service"*) $root systemctl disable --quiet "$service" 2>/dev/null || : ;;
	esac
done
