# `make` explains itself. It needs Go and git; everything else it fetches through Go, pinned, into ./bin, except Redis,
# which comes from the system's packages.

GOLANGCI_VERSION := v2.15.0
GOLANGCI := bin/golangci-lint-$(GOLANGCI_VERSION)
SERVICES := input llm output
# The race detector needs a C compiler; without one the tests run without it, and say so.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
# All is built as it is shipped, static and without this machine's paths, so that Go's cache serves every target.
export CGO_ENABLED := 0
export GOFLAGS := $(strip -trimpath $(filter-out -trimpath,$(shell go env GOFLAGS)))
TEST_TIMEOUT := 12m
# A count, not a time: a deadline that passes while an input runs is reported as a failure of the target.
FUZZ_COUNT := 100000x

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST) | sort

.PHONY: run
run: ## chat in the terminal: the whole pipeline on an embedded broker; ARGS="--session mine" passes flags
	go run ./cmd/woodwork up $(ARGS)

.PHONY: check
check: lint test chaos-quick test-containers ## all that CI runs

.PHONY: test
test: redis ## run all tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo "no C compiler: testing without the race detector")
	CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) -shuffle=on -timeout $(TEST_TIMEOUT) ./...

.PHONY: redis
redis: ## find a redis-server for the tests, or install one
	@internal/redisproc/install.sh

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZ_COUNT executions
	@grep -rE '^func Fuzz' --include='*_test.go' . \
	| sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | sort -u \
	| while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_COUNT) "$$package" </dev/null || exit 1; \
	done

.PHONY: lint
lint: $(GOLANGCI) ## check style, imports, go.mod and the modules' checksums
	$(GOLANGCI) run ./...
	go vet ./...
	go mod tidy -diff
	go mod verify
	cd bench && ../$(GOLANGCI) run ./... && go vet ./... && go mod tidy -diff

.PHONY: fmt
fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt ./...

.PHONY: services
services: ## build the command and the services as static binaries in ./bin
	go build -ldflags '-s -w' -o bin/woodwork ./cmd/woodwork
	@set -e; for service in $(SERVICES); do \
		echo "build bin/woodwork-$$service"; \
		go build -ldflags '-s -w' -o "bin/woodwork-$$service" "./services/$$service"; \
	done

include deploy/images.mk
include chaos/chaos.mk
include bench/bench.mk

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

$(GOLANGCI):
	GOBIN="$(CURDIR)/bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/golangci-lint $@
