# Each target installs what it needs. `make help` lists them.
SHELL := /bin/bash
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
FAMILY ?=
RUNS ?= 0
N ?= 1000000
MINUTES ?= 10
SEED ?= 0
CALM ?=
ARGS ?=

.PHONY: help build demo test matrix check sim mutants killpoints bench-failover bench-store chaos servers

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

build: ## the static binary, bin/baton
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/baton ./cmd/baton

servers: ## real database servers: MariaDB by apt, MySQL in a private prefix
	@scripts/get-mariadb || echo "going on with whatever database server is here" >&2
	@scripts/get-mysql || echo "going on without MySQL" >&2

demo: build servers ## a whole cluster on this machine; its primary is killed under load (ARGS="--db mysql --kill freeze")
	bin/baton demo $(ARGS)

test: ## every test, on real servers of both families
	@scripts/get-mariadb
	@families=mariadb; \
	if scripts/get-mysql; then families=mariadb,mysql; \
	else echo "MySQL cannot be had here: ITS TESTS ARE SKIPPED" >&2; fi; \
	scripts/get-netlab && unshare -mn true || echo "No namespaces can be had here: CHAOS IS SKIPPED" >&2; \
	set -x; BATON_REQUIRE_DB=$$families go test -race -shuffle=on -timeout 15m -p 2 ./... && \
	go test -count=1 -parallel 4 ./discovery ./internal/bubble # again without the race detector: with 50 members, in every shape

matrix: ## the rooms that talk to real servers, on MariaDB 11.8 as well
	@scripts/get-mariadb
	@scripts/get-mariadb-11.8
	@set -x; export BATON_REQUIRE_DB=mariadb BATON_MARIADB_ROOT="$${XDG_CACHE_HOME:-$$HOME/.cache}/baton/mariadb-11.8"; \
	go test -count=1 -timeout 15m -p 1 -skip '/mysql' ./mysqld/... ./promote/... && \
	go test -count=1 -timeout 15m -skip '/mysql' -run 'TestFailovers|TestAPrimary|TestAServerWith|TestNodesComeAndGo|TestServersRestarted' ./agent

check: ## format, vet, static analysis, house rules
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-clean:"; gofmt -l .; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go test -count=1 .

sim: ## random schedules of faults against the real decisions (N=1000000 SEED=1)
	go run ./cmd/sim -n $(N) -seed $(if $(filter 0,$(SEED)),1,$(SEED))

mutants: ## breaks the source in many ways; each must be noticed (N=1000000 SEED=1 ARGS="-resume bin/verdicts")
	go run ./cmd/mutants -n $(N) -seed $(if $(filter 0,$(SEED)),1,$(SEED)) $(ARGS)

killpoints: servers ## kills baton before and after everything it does in a failover, on real servers (FAMILY=mysql)
	go run ./cmd/killpoints -family "$(FAMILY)" $(ARGS)

bench-failover: build servers ## how long writers wait when the primary fails (FAMILY=mysql RUNS=5)
	go run ./cmd/bench-failover -family "$(FAMILY)" -runs $(RUNS)

chaos: build servers ## random faults on real servers in namespaces (MINUTES=10 SEED=7 FAMILY=mysql; CALM=1: none may cause a failover)
	scripts/get-netlab
	go build -o bin/chaos ./cmd/chaos
	bin/chaos -family "$(FAMILY)" -minutes $(MINUTES) -seed $(SEED) $(if $(CALM),-calm) $(ARGS)

bench-store: ## writes per second and bytes written of the raft log
	go test -run '^$$' -bench . -benchtime 2s ./raft/raftlog
