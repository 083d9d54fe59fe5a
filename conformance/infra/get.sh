#!/usr/bin/env bash
# get.sh consul|kube|spire|helm|chart...: builds the real servers that the infra tests start,
# from their Go modules as tools/ pins them, into the cache directory, and says
# how far it is. What is there and was built from the same pins is left alone.
#
#   consul   Consul (6 minutes on 2 cores, 3 GB of memory, once)
#   kube     etcd, the Kubernetes control plane and kwok (11 minutes, once)
#   spire    SPIRE's server and agent (4 minutes, once; needs a C compiler)
#   helm     Helm (90 seconds, once)
#   chart    what checks the chart: helm-unittest, kubeconform, kube-score, kubectl, and what the oldest
#            and the newest Kubernetes that it is for say of their objects (2 minutes, once)
#
# The cache is $ATTACHE_INFRA_CACHE, else attache/infra in the user's cache
# directory. With Go's own build cache warm it takes seconds.
set -euo pipefail
cd "$(dirname "$0")/tools"
cache=${ATTACHE_INFRA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/attache/infra}
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # one at a time: two builds of the same take twice as long

# progress counts the packages that go build names, and says so every 10 s.
progress() {
	local name=$1 n=0 said=$SECONDS line errors=
	while IFS= read -r line; do
		case $line in
		'go: downloading'*) ;;
		*' '* | '#'*) errors+=$line$'\n' ;; # what a compiler says; a package's path has no blank
		*) n=$((n + 1)) ;;
		esac
		if [ $((SECONDS - said)) -ge 10 ]; then
			said=$SECONDS
			echo "infra: $name: $n packages compiled in $((SECONDS - began)) s"
		fi
	done
	printf %s "$errors" >&2
}

# get NAME MODULE PACKAGE LDFLAGS: one program, unless it is there.
get() {
	local name=$1 module=$2 package=$3 ldflags=$4 began=$SECONDS
	local pin="$cache/$name.pin" want
	want=$( (cd "$module" && cat go.mod go.sum && find . -name '*.go' -exec cat {} + && echo "$ldflags") | sha256sum)
	if [ -x "$cache/$name" ] && [ "$(cat "$pin" 2>/dev/null)" = "$want" ]; then
		return
	fi
	echo "infra: $name: building from its Go module into $cache"
	rm -f "$pin"
	(cd "$module" && GOFLAGS=-buildvcs=false GOWORK=off go build ${modfile:+"-modfile=$modfile"} -v -p 2 -trimpath -ldflags "-s -w $ldflags" -o "$cache/$name.new" "$package" 2>&1) | progress "$name"
	mv "$cache/$name.new" "$cache/$name"
	echo "$want" >"$pin"
	echo "infra: $name: built in $((SECONDS - began)) s"
}

consul() {
	get consul consul github.com/hashicorp/consul ''
}

kube() {
	export CGO_ENABLED=0
	local v=k8s.io/component-base/version # unset, the server says v0.0.0
	get hyperkube kube ./hyperkube "-X $v.gitVersion=v1.36.3 -X $v.gitMajor=1 -X $v.gitMinor=36"
	get etcd etcd go.etcd.io/etcd/server/v3 ''
	get kwok kwok sigs.k8s.io/kwok/cmd/kwok ''
	stages >"$cache/kwok-stages.yaml"
	definitions >"$cache/gateway-api.yaml"
}

# spire is built without the plugins of clouds and of Kubernetes, which are most of
# what it needs to be compiled; SQLite, in which the server keeps its entries, is
# C and need not be quick.
spire() {
	local clouds='aws|azure|gcp|gcs|k8s|docker|vault|certmanager|tpmdevid' dir src=$cache/spire-src
	dir=$(cd spire && go mod download github.com/spiffe/spire && go list -m -f '{{.Dir}}' github.com/spiffe/spire)
	rm -rf "$src"
	mkdir "$src"
	cp -R "$dir"/go.mod "$dir"/cmd "$dir"/pkg "$dir"/proto "$dir"/test "$src"
	chmod -R u+w "$src"
	sed -i -E "/plugin\/[a-z]+\/($clouds)[a-z0-9]*\"\$/d; /^\t\t($clouds)[a-z0-9]*\.BuiltIn/d" "$src"/pkg/{server,agent}/catalog/*.go
	{ cat spire/go.mod && echo "replace github.com/spiffe/spire => $src"; } >"$cache/spire.mod"
	cp spire/go.sum "$cache/spire.sum"
	export CGO_ENABLED=1 CGO_CFLAGS=-O0 modfile=$cache/spire.mod
	get spire-server spire github.com/spiffe/spire/cmd/spire-server ''
	get spire-agent spire github.com/spiffe/spire/cmd/spire-agent ''
	unset CGO_ENABLED CGO_CFLAGS modfile
}

helm() {
	export CGO_ENABLED=0
	get helm helm helm.sh/helm/v3/cmd/helm ''
}

# oldest is the last Kubernetes of the first version that the chart's kubeVersion allows.
oldest='v1.27.16 h1:DHFqj/HTUqHStFlRH9wCKPocqgHsjR6Q/DzYarB2QQE='

chart() {
	export CGO_ENABLED=0
	get kubeconform kubeconform github.com/yannh/kubeconform/cmd/kubeconform ''
	get kube-score kube-score github.com/zegl/kube-score/cmd/kube-score ''
	get helm-unittest helm-unittest github.com/helm-unittest/helm-unittest/cmd/helm-unittest ''
	get kubectl kubectl . ''
	objects oldest ${oldest}
	objects newest $(sed -n 's#^k8s.io/kubernetes \(v[^/ ]*\) h1:#\1 h1:#p' kube/go.sum)
}

# objects AGE VERSION SUM: what the API of a Kubernetes takes, from its module. Of the oldest
# nothing else is needed, so that it is in no go.mod, and its sum is held here.
objects() {
	local to=$cache/kubernetes-$1 module=k8s.io/kubernetes@$2 got
	[ "$(cat "$to.pin" 2>/dev/null)" = "$2" ] && return
	rm -f "$to.pin"
	got=$(cd kubeconform && go mod download -json "$module")
	if ! grep -qF "\"$3\"" <<<"$got"; then
		echo "infra: $module is not what it was: $got" >&2
		exit 1
	fi
	cp "$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$got")/api/openapi-spec/swagger.json" "$to.json"
	echo "$2" >"$to.pin"
}

# definitions are the Gateway API's, with what is experimental.
definitions() {
	local dir
	dir=$(cd gateway && go mod download sigs.k8s.io/gateway-api && go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)/config/crd/experimental
	for kind in httproutes grpcroutes referencegrants; do
		cat "$dir/gateway.networking.k8s.io_$kind.yaml"
		echo ---
	done
}

# stages are kwok's own from its module, which it does not load by itself, but
# a pod that is deleted stays Terminating for its grace period, as a kubelet has it.
stages() {
	local dir
	dir=$(cd kwok && go mod download sigs.k8s.io/kwok && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
	for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-ready pod/fast/pod-complete; do
		cat "$dir/$stage.yaml"
		echo ---
	done
	cat <<-'YAML'
		apiVersion: kwok.x-k8s.io/v1alpha1
		kind: Stage
		metadata: {name: pod-delete}
		spec:
		  resourceRef: {apiGroup: v1, kind: Pod}
		  selector: {matchExpressions: [{key: .metadata.deletionTimestamp, operator: Exists}]}
		  delay: {durationFrom: {expressionFrom: .metadata.deletionTimestamp}}
		  next: {delete: true}
	YAML
}

for what; do
	case $what in
	consul | kube | spire | helm | chart) "$what" ;;
	*)
		echo "usage: $0 consul|kube|spire|helm|chart..." >&2
		exit 2
		;;
	esac
done
