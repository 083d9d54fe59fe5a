#!/bin/sh
# netns.sh PROGRAM ARGS...: runs it in namespaces of its own. In the network
# nothing can leave, no port is taken, and every address of the test cluster's
# pods and services is local, to be listened on and dialled. Among processes the
# program is the first, and whatever it started dies with it, however it ends.
# As root, or as a user where the system lets users have namespaces.
set -eu
if [ "${1:-}" = --inside ]; then
	shift
	ip link set lo up
	ip route add local 10.244.0.0/16 dev lo # pods
	ip route add local 10.96.0.0/16 dev lo  # services
	ATTACHE_NETNS=1 exec "$@"
fi
PATH=$PATH:/usr/sbin:/sbin
export PATH
[ "$(id -u)" = 0 ] && user='' || user='--user --map-root-user'
exec unshare --net --pid --fork --kill-child --mount-proc $user "$0" --inside "$@"
