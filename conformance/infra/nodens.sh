#!/bin/sh
# nodens.sh PROGRAM ARGS...: runs it in namespaces of its own in which a Kubernetes
# node can live: a network with a bridge for pods that nothing leaves, processes that
# die with the program, mounts that nobody else sees. As root only; where the machine
# does not let it, it says what is left out and why, and that is no failure.
#
# What a node writes into the machine's own folders it writes into folders of these
# mounts. What is not a namespace's is put back afterwards: its control groups are
# removed, and the settings of the kernel that a kubelet sets are what they were.
set -eu
PATH=$PATH:/usr/sbin:/sbin
groups=attache-node
refused=77 # the end of --inside, when a namespace lacks something

if [ "${1:-}" = --inside ]; then
	shift
	# Services need some route: which pod it is comes after the route is chosen.
	mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && mkdir -p /run/cni /run/lock &&
		ip link set lo up && ip link add cni0 type bridge && ip addr add 10.244.1.1/24 dev cni0 && ip link set cni0 up &&
		ip route add 10.96.0.0/16 dev cni0 src 10.244.1.1 &&
		sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1 || exit $refused
	ATTACHE_NODE_GROUPS=$groups exec "$@"
fi

left_out() {
	echo "the suite on a real node is left out (its pods, their sidecars' starts, ends and crashes): $*" >&2
	exit 0
}

# settings are those of the kernel that a kubelet sets for the whole machine.
settings="vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes"
saved=
for s in $settings; do saved="$saved $s=$(cat "/proc/sys/$s" 2>/dev/null || true)"; done

groups_left() { find /sys/fs/cgroup -maxdepth 2 -type d -name $groups 2>/dev/null; }
sweep() { # a group can go when its processes and the groups in it have
	for try in 1 2 3 4 5 6 7 8 9 10; do
		left=$(groups_left)
		[ -n "$left" ] || break
		[ "$try" = 1 ] || sleep 0.3
		for root in $left; do find "$root" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
	done
	for s in $saved; do
		[ "$(cat "/proc/sys/${s%%=*}" 2>/dev/null || true)" = "${s#*=}" ] || echo "${s#*=}" >"/proc/sys/${s%%=*}" || true
	done
}

# group makes the node's own, below which all groups of its pods are.
group() {
	if [ -f /sys/fs/cgroup/cgroup.controllers ]; then # version 2
		mkdir -p /sys/fs/cgroup/$groups || return
		for c in $(cat /sys/fs/cgroup/cgroup.controllers); do
			echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control || return
		done
		return
	fi
	for root in /sys/fs/cgroup/*/; do
		case $root in */unified/) ;; *) mkdir -p "$root$groups" || return ;; esac
	done
}

[ "$(id -u)" = 0 ] || left_out "it needs root"
unshare --net --pid --fork --mount-proc true 2>/dev/null || left_out "no namespaces here: $(unshare --net --pid --fork --mount-proc true 2>&1 || true)"
exec 9>"${TMPDIR:-/tmp}/$groups.lock"
flock 9 # one node at a time: the groups have one name
sweep
trap sweep EXIT
trap 'exit 1' HUP INT QUIT TERM
group 2>/dev/null || left_out "no control groups here: $(group 2>&1 || true)"

# In the background, for a shell hears no signal while it waits for a program.
setpriv --pdeathsig KILL unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@" 9>&- &
child=$!
trap 'kill -KILL $child; wait $child; exit 1' HUP INT QUIT TERM
status=0
wait $child || status=$?
[ $status != $refused ] || left_out "the namespaces are not enough of a machine"
exit $status
