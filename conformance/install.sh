#!/bin/sh
# install.sh WHAT...: makes sure that the real servers and programs are here
# that WHAT needs: "test", "browser", "infra", "arm64", "containers", "bench", or the program's own name;
# "grpcjs" is the library, which goes into attache/grpcjs in the user's cache
# directory, as its lock file says.
#
# As root on a system with apt-get it installs what is missing and says so; the
# services that Debian's packages bring are not started. Elsewhere it prints
# the command that would do, and exits 1.
set -eu
PATH=$PATH:/usr/sbin:/sbin

[ $# -gt 0 ] || { echo "usage: $0 test|browser|infra|arm64|containers|bench|PROGRAM..." >&2; exit 2; }

programs=
grpcjs=
for what; do
	case $what in
	test) programs="$programs memcached nginx redis-server curl nghttp h2load node npm" grpcjs=yes ;;
	grpcjs) programs="$programs node npm" grpcjs=yes ;;
	browser) programs="$programs chromium-headless-shell" ;;
	infra) programs="$programs memcached dnsmasq busybox ip unshare flock" ;;
	containers) programs="$programs ip unshare setpriv sysctl containerd runc nft iptables /usr/lib/cni/bridge" ;;
	arm64) programs="$programs qemu-aarch64-static memcached ip unshare" ;;
	bench) programs="$programs memcached nginx haproxy nutcracker wrk h2load strace" ;;
	*) programs="$programs $what" ;;
	esac
done

# package names the Debian package of a program: mostly its own name.
package() {
	case $1 in
	dnsmasq) echo dnsmasq-base ;; # without the service
	ip) echo iproute2 ;;
	unshare | setpriv | flock) echo util-linux ;;
	sysctl) echo procps ;;
	nft) echo nftables ;;
	/usr/lib/cni/*) echo containernetworking-plugins ;;
	qemu-aarch64-static) echo qemu-user-static ;;
	nghttp | h2load) echo nghttp2-client ;;
	node) echo nodejs ;;
	*) echo "$1" ;;
	esac
}

# grpcjs puts grpc-js, of the versions in tools/grpcjs, where node can find it.
grpcjs() {
	from=$(dirname "$0")/tools/grpcjs
	to=${XDG_CACHE_HOME:-$HOME/.cache}/attache/grpcjs
	cmp -s "$from/package-lock.json" "$to/installed" && return
	mkdir -p "$to"
	cp "$from/package.json" "$from/package-lock.json" "$to"
	echo "installing with npm: grpc-js"
	(cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --loglevel error)
	cp "$from/package-lock.json" "$to/installed"
}

# finish is what follows when every program is here.
finish() {
	[ -z "$grpcjs" ] || grpcjs
	exit 0
}

missing=
for p in $programs; do
	command -v "$p" >/dev/null && continue
	p=$(package "$p")
	case " $missing " in *" $p "*) ;; *) missing="$missing $p" ;; esac
done
[ -n "$missing" ] || finish

if ! command -v apt-get >/dev/null; then
	echo "missing:$missing. Install them with this system's package manager, then run this again." >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "missing:$missing. This installs them (the services need not run):" >&2
	echo "    sudo RUNLEVEL=1 apt-get install -y --no-install-recommends$missing" >&2
	exit 1
fi

echo "installing with apt-get:$missing"

# A package may start its service only if this file allows it (invoke-rc.d and
# deb-systemd-invoke both ask). A file that is already there is the owner's.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive

log=$(mktemp)
apt() { apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1; }
if ! apt install -y --no-install-recommends $missing; then
	# A fresh image has no package lists.
	apt update && apt install -y --no-install-recommends $missing || {
		cat "$log" >&2
		echo "not installed:$missing" >&2
		exit 1
	}
fi
rm -f "$log"

# Nor shall they start at the next boot because of us.
if [ -d /run/systemd/system ]; then
	for p in $missing; do systemctl -q disable "$p" 2>/dev/null || true; done
fi
for p in $programs; do
	command -v "$p" >/dev/null || { echo "$p is still missing" >&2; exit 1; }
done
finish
