# Nearcast: `make up` runs a whole CDN on this machine, `make test` runs every test.

# Material that the project's developers have and a user's clone lacks: outside
# suites, traces, latency matrices. What needs it says so and skips without it.
SHARED ?= ../shared
export NEARCAST_SHARED := $(abspath $(SHARED))

# Where `make up` keeps its state, and the first of the 92 ports it uses.
DIR ?= nearcast-lab
PORT_BASE ?= 18000

# Tools, pinned. staticcheck is pinned in go.mod.
VERSITYGW := github.com/versity/versitygw/cmd/versitygw@v1.8.0
K6        := go.k6.io/k6@v1.8.1
H2SPEC    := github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
LINT      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

GO      ?= go
BIN     := $(CURDIR)/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# The program is static; only the race detector needs cgo.
export CGO_ENABLED := 0

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/nearcast
	$(GO) build -trimpath -ldflags '-X main.Version=$(VERSION)' -o $(BIN)/nearcast ./cmd/nearcast

.PHONY: up
up: build $(BIN)/versitygw ## build and start the whole CDN on this machine; Ctrl-C stops it
	$(BIN)/nearcast up --dir $(DIR) --port-base $(PORT_BASE)

# How many packages are tested at a time. Long tests wait for others more than they compute: one more than a small machine has processors.
PACKAGES ?= $(shell echo $$(($$(nproc) + 1)))

# Packages with tests that the race detector leaves nothing to see of, or that it makes ten times as long: they are run once more without.
WITHOUT_RACE = $(shell grep -rl --include='*_test.go' '"nearcast/internal/racing"' . | xargs -n 1 dirname | sort -u)

.PHONY: test
test: test-deps build $(BIN)/versitygw $(BIN)/k6 $(BIN)/h2spec check-fmt ## install what the tests need and run all of them
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 20m -ldflags=-s -p $(PACKAGES) ./...
	$(GO) test -shuffle=on -timeout 10m -ldflags=-s -p $(PACKAGES) $(WITHOUT_RACE)
	$(GO) test -count=1 ./internal/arch

.PHONY: check-fmt
check-fmt:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed (run gofmt -w):" $$unformatted; exit 1; fi

# Debian's names of what the tests call: a C compiler for the race detector, dig, delv and
# Knot DNS for a real secondary and kdig, curl and openssl for the examples of the manual, wrk for the smoke test of the benchmark, strace for
# system calls that fail, Python and Node.js for the outside suites. Chromium is large, but no client of ours finds what a real
# browser does, and a test that mostly skips is none. Where it cannot be had (Ubuntu has
# a snap only) the test says so and skips.
.PHONY: test-deps
test-deps:
	@missing=; \
	command -v gcc  >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v dig >/dev/null && command -v delv >/dev/null || missing="$$missing bind9-dnsutils"; \
	command -v kdig >/dev/null || missing="$$missing knot-dnsutils"; \
	PATH="$$PATH:/usr/sbin" command -v knotd >/dev/null || missing="$$missing knot"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	command -v wrk  >/dev/null || missing="$$missing wrk"; \
	command -v strace >/dev/null || missing="$$missing strace"; \
	if [ -d "$$NEARCAST_SHARED/suites" ]; then \
		command -v python3 >/dev/null || missing="$$missing python3"; \
		command -v npm >/dev/null || missing="$$missing nodejs npm"; \
	fi; \
	browser=; command -v chromium >/dev/null || browser=chromium; \
	if [ -n "$$missing$$browser" ]; then \
		echo "installing:$$missing $$browser"; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		install="$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"; \
		$$sudo apt-get update -qq; \
		[ -z "$$browser" ] || $$install $$browser >/dev/null || echo "no $$browser: the test that needs it will skip"; \
		[ -z "$$missing" ] || $$install $$missing >/dev/null; \
	fi

.PHONY: conformance
conformance: build $(BIN)/h2spec ## run the conformance tests, the outside suites and a million steps beside the reference model
	$(GO) test -count=1 ./edge/conformance ./loadtest/suites
	$(GO) test -count=1 ./edge/conformance/model -steps=1000000

.PHONY: loadtest
loadtest: build $(BIN)/k6 ## run the k6 smoke test against the CDN that `make up` started
	$(BIN)/k6 run --quiet -e ENDPOINTS=$(abspath $(DIR))/endpoints.json loadtest/k6/smoke.js

# What is measured, how, and how to read it: go doc ./loadtest/bench
BENCH_FLAGS ?=
.PHONY: bench
bench: build ## measure the cost of a hit beside the installed peers and write docs/performance.md; half an hour
	$(GO) run ./loadtest/bench --json docs/performance.json --markdown docs/performance.md --notes docs/performance.notes.md $(BENCH_FLAGS)

.PHONY: bench-page
bench-page: ## write docs/performance.md again after its notes were changed
	$(GO) run ./loadtest/bench --render docs/performance.json --markdown docs/performance.md --notes docs/performance.notes.md

# What is attacked, how, and what must hold: go doc ./loadtest/flood
FLOOD_FLAGS ?=
.PHONY: test-flood
test-flood: build ## attack an edge for 20 s in each way that is known and check what visitors notice; a quarter of an hour
	$(GO) run ./loadtest/flood $(FLOOD_FLAGS)

# How an edge is ended, and what must hold when it is there again: go doc ./loadtest/crash
CRASH_FLAGS ?=
.PHONY: test-crash
test-crash: test-deps build ## end an edge by kill -9, power cuts, failing system calls and damaged files, and judge each answer; then the disk tier alone, after 100,000 system calls; an hour, as root
	$(GO) run ./loadtest/crash $(CRASH_FLAGS)
	$(GO) test -count=1 -timeout 2h ./edge/store/disk -run 'TestCuts|TestFlippedBits|TestMisdirected' -cuts 100000 -flips 30000 -misdirected 5000

# How long visitors are sent to what has died: go doc ./loadtest/failover
.PHONY: test-failover
test-failover: $(BIN)/versitygw ## kill 50 nodes and 50 POPs of a fleet of real processes, and see when the route table, every map and every front know; half an hour
	$(GO) test -count=1 -v -timeout 2h ./loadtest/failover -kills 50 -pop-kills 50

.PHONY: test-million
test-million: ## compile 10,000 sites with a million names, and hold time and memory to their limits
	$(GO) test -count=1 -v -run 'TestLarge|TestMillion' ./scheduler ./scheduler/zone ./cmd/nearcast -sites 10000

# What is asked, sent and measured, and what must hold: go doc ./loadtest/fronts
FRONTS_FLAGS ?=
.PHONY: test-fronts
test-fronts: build ## prove a scheduler's fronts: one answer on all, mutants, floods, forgeries, rates and latency; five minutes
	$(GO) run ./loadtest/fronts $(FRONTS_FLAGS)

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME each
	@set -e; for file in $$(git grep -lE '^func Fuzz' -- '*_test.go'); do \
		for target in $$(grep -oE '^func Fuzz[A-Za-z0-9_]*' $$file | cut -c6-); do \
			echo "$$file $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
		done; \
	done

# Mutants of real queries, read beside miekg/dns and answered: the mutators are scheduler/dnswire/dnsmutate.
FUZZ_DNS_RUNS ?= 10000000
FUZZ_DNS_SEED ?= 1
.PHONY: fuzz-dns
fuzz-dns: ## read and answer ten million mutants of DNS queries each, and compare with miekg/dns; two minutes
	$(GO) test -count=1 -v -timeout 2h ./scheduler/dnswire -run 'TestMutants' -runs $(FUZZ_DNS_RUNS) -seed $(FUZZ_DNS_SEED)
	$(GO) test -count=1 -v -timeout 2h ./scheduler/respond -run 'TestMutants' -runs $(FUZZ_DNS_RUNS) -seed $(FUZZ_DNS_SEED)

.PHONY: lint
lint: ## run the full linter; the first run builds it, which takes minutes
	$(GO) run $(LINT) run

.PHONY: clean
clean: ## remove what was built, but no lab
	rm -rf $(BIN)

# Tools live outside go.mod: their dependencies are theirs.
$(BIN)/versitygw: Makefile
	cd / && GOBIN=$(BIN) GOFLAGS= $(GO) install $(VERSITYGW)
	@touch $@

$(BIN)/h2spec: Makefile
	cd / && GOBIN=$(BIN) GOFLAGS= $(GO) install $(H2SPEC)
	@touch $@

$(BIN)/k6: Makefile
	cd / && GOBIN=$(BIN) GOFLAGS= $(GO) install $(K6)
	@touch $@
