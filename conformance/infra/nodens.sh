#!/bin/sh
# nodens.sh PROGRAM ARGS...: runs it in namespaces of its own in which a Kubernetes
# node can live: a network with a bridge for pods that nothing leaves, processes that
# die with the program, mounts that nobody else sees. As root only.
#
# What a node writes into the machine's own folders it writes into folders of these
# mounts; its control groups are removed afterwards.
set -eu
PATH=$PATH:/usr/sbin:/sbin
groups=attache-node
if [ "${1:-}" = --inside ]; then
	shift
	for dir in /run /var/log; do mount -t tmpfs tmpfs $dir; done
	mkdir -p /run/cni /run/lock
	ip link set lo up
	ip link add cni0 type bridge
	ip addr add 10.244.1.1/24 dev cni0
	ip link set cni0 up
	# Services need some route: which pod it is comes after the route is chosen.
	ip route add 10.96.0.0/16 dev cni0 src 10.244.1.1
	sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1
	ATTACHE_NODE_GROUPS=$groups exec "$@"
fi
if [ "$(id -u)" != 0 ]; then
	echo "the suite on a real node is left out: it needs root" >&2
	exit 0
fi
sweep() { # a group can go when the groups in it have
	for root in /sys/fs/cgroup/*/$groups /sys/fs/cgroup/$groups; do
		[ ! -d "$root" ] || find "$root" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
}
sweep
for root in /sys/fs/cgroup/*/; do
	case $root in */unified/) ;; *) mkdir -p "$root$groups" 2>/dev/null || true ;; esac
done
status=0
unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@" || status=$?
sweep
exit $status
