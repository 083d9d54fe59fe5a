# attache: everything a person or CI asks for, one target each. `make help` lists them.
GO        ?= go
VERSION   ?= $(shell git describe --always --dirty --tags 2>/dev/null || echo dev)
# How long one fuzz target runs, how many simulator seeds, how many requests of chaos, how long one flood,
# how many hot restarts under how many requests a second, how many Jobs on the node, and what is handed on to the programs.
TIME      ?= 10m
SEEDS     ?= 1000
REQUESTS  ?= 10000000
FLOODS    ?= 3s
RESTARTS  ?= 100
RATE      ?= 5000
JOBS      ?= 10
ARGS      ?=
# Where the collection of configurations is (see conformance/corpus).
CORPUS    ?= ../shared/corpus

# Tools have fixed versions and stay out of go.mod: what they need is not what attache needs.
GOFUMPT_VERSION     = v0.12.0
STATICCHECK_VERSION = v0.8.2
TOOLS       = bin/tools
GOFUMPT     = $(TOOLS)/gofumpt-$(GOFUMPT_VERSION)
STATICCHECK = $(TOOLS)/staticcheck-$(STATICCHECK_VERSION)

# Go files that people write; what protoc writes is left as protoc wrote it.
GOFILES = find . -name '*.go' -not -name '*.pb.go' -not -name '*.pb.validate.go' -not -path './bin/*' -print0

# The tests of conformance that read the source and start nothing.
SOURCE_RULES = TestFloors|TestImportRules|TestLeanSidecar|TestSource|TestRulesBite

.DEFAULT_GOAL := help
.PHONY: help run build image test test-browser test-infra test-arm64 floods restarts race fuzz corpus bench bench-xds bench-guard chaos mutate sim lint fmt tools deps

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## the main job shown on real memcached and HTTP servers (ARGS=--once ends)
	$(GO) run ./examples/demo $(ARGS)

build: ## bin/attache and bin/attache-control, one static file each
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/attache ./cmd/attache-control

image: ## OCI images of both programs for amd64 and arm64, with their parts (SPDX), into bin/image; no container engine
	$(GO) run ./charts/image -version $(VERSION) $(ARGS)

test: build ## every test; installs the real servers that are missing
	sh conformance/install.sh test
	$(GO) test -timeout 15m $(ARGS) ./...

test-browser: ## pages and WebSockets in a headless Chromium; installs it if it is missing (260 MB)
	sh conformance/install.sh browser
	$(GO) test -tags browser -count=1 -timeout 5m -run TestBrowser $(ARGS) ./conformance

test-infra: build ## end to end with real Consul, Kubernetes, SPIRE and DNS; builds the servers that are missing (23 minutes, once)
	sh conformance/install.sh infra
	conformance/infra/get.sh consul kube spire helm chart
	$(GO) test -tags infra -exec $(abspath conformance/infra/netns.sh) -count=1 -timeout 30m $(ARGS) ./conformance/infra
	sh conformance/install.sh containers || echo "what a real node needs is not here: its suite says what it leaves out"
	ATTACHE_JOBS=$(JOBS) $(GO) test -v -tags infra -exec $(abspath conformance/infra/nodens.sh) -count=1 -timeout 30m $(ARGS) ./conformance/infra/node

test-arm64: ## the image for arm64 on an emulated processor: it is made, starts, and serves a key; installs qemu if it is missing
	sh conformance/install.sh arm64
	conformance/infra/get.sh chart
	$(GO) test -tags infra,qemu -exec $(abspath conformance/infra/netns.sh) -count=1 -timeout 30m -run TestArm64Image $(ARGS) ./conformance/infra

floods: ## what each flood of HTTP/2 costs others, for FLOODS=3s each, as a table
	ATTACHE_FLOODS=$(FLOODS) $(GO) test -v -count=1 -timeout 20m -run TestFloodLoad $(ARGS) ./conformance

restarts: ## RESTARTS=100 hot restarts under RATE=5000 requests a second, with the figures
	sh conformance/install.sh memcached
	ATTACHE_RESTARTS=$(RESTARTS) ATTACHE_RATE=$(RATE) $(GO) test -v -count=1 -timeout 30m -run 'TestHotRestart$$' $(ARGS) ./conformance

race: build ## every test under the race detector (needs a C compiler)
	sh conformance/install.sh test
	$(GO) test -race -timeout 40m $(ARGS) ./...

fuzz: ## every fuzz target in turn, TIME=10m each
	sh conformance/fuzz.sh $(TIME)

corpus: ## real Envoy configurations of CORPUS=../shared/corpus: which are taken and come up, and what refuses the others
	$(GO) test -count=1 -timeout 20m ./conformance/corpus -corpus $(abspath $(CORPUS)) $(ARGS)

mutate: ## which honoured fields the behaviour scripts depend on: each is taken out of those that set it
	$(GO) test -v -count=1 -timeout 30m ./conformance/behaviour -run TestFieldsMatter -mutate . | grep -v '^ *---\|^===\|^time='

chaos: build ## 10 million pipelined memcached requests while a shard is killed at random
	sh conformance/install.sh memcached
	$(GO) run ./conformance/chaos -requests $(REQUESTS) $(ARGS)

sim: ## the simulator's scenarios on SEEDS=1000 seeds
	ATTACHE_SEEDS=$(SEEDS) $(GO) test -v -count=1 -timeout 0 -run Sim $(ARGS) ./proxy/loop ./proxy/transport ./proxy/listener ./proxy/pool ./proxy/upstream ./proxy/memproxy ./proxy/httpproxy ./proxy/tcpproxy ./proxy

bench: build ## attache beside its peers in one run, into docs/performance.md (or as ARGS= says)
	sh conformance/install.sh bench
	$(GO) run ./conformance/bench $(or $(ARGS),-write docs/performance.md)

bench-xds: build ## the control plane under thousands of sidecars, into its section of docs/performance.md (or as ARGS= says)
	$(GO) run ./conformance/bench/xds $(or $(ARGS),-write docs/performance.md)

bench-guard: build ## fails if the forwarding path got slower than its committed ceiling
	sh conformance/install.sh bench
	$(GO) run ./conformance/bench -guard $(ARGS)

lint: tools ## formatting, go vet, staticcheck, and the rules of the house
	@out="$$($(GOFILES) | xargs -0 -r $(GOFUMPT) -l)"; \
	if [ -n "$$out" ]; then echo "not formatted (make fmt):"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags infra,qemu ./conformance/infra/...
	$(GO) vet -tags browser ./conformance
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags infra,qemu ./conformance/infra/...
	$(STATICCHECK) -tags browser ./conformance
	$(GO) test -count=1 -run '$(SOURCE_RULES)' ./conformance

fmt: tools ## formats what people wrote
	$(GOFILES) | xargs -0 -r $(GOFUMPT) -w

tools: $(GOFUMPT) $(STATICCHECK) ## the fixed versions of gofumpt and staticcheck, into bin/tools

$(GOFUMPT):
	GOBIN=$(abspath $(TOOLS)) $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	mv $(TOOLS)/gofumpt $@

$(STATICCHECK):
	GOBIN=$(abspath $(TOOLS)) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	mv $(TOOLS)/staticcheck $@

deps: ## the real servers and programs that tests and benchmarks use, where they are missing
	sh conformance/install.sh test infra containers bench
