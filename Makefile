# make help lists the targets. archtest checks that MODULES names every go.mod of the tree.
MODULES := . verify verify/grpcauth verify/interop clients bench

GO        ?= go
# What go test is given besides ./... ; without -race: make test TESTFLAGS=
TESTFLAGS ?= -race -timeout 20m
# How long make fuzz stays with each target.
FUZZTIME  ?= 10s
# Which rows make bench measures, a regular expression; all when empty.
BENCH     ?=
# Where make images writes.
IMAGES    ?= docs/images

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

.DEFAULT_GOAL := help
.PHONY: bench build check clean format fuzz help images lint test tidy

help: ## show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/wafer: one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/wafer ./cmd/wafer

test: ## format check, vet and race-enabled tests of every module
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './.git/*')) || exit 1; \
	if [ -n "$$unformatted" ]; then \
		printf 'not formatted, run make format:\n%s\n' "$$unformatted"; exit 1; \
	fi
	@failed=; \
	for module in $(MODULES); do \
		echo "== module $$module"; \
		( cd $$module && $(GO) vet ./... && $(GO) test $(TESTFLAGS) ./... ) || failed="$$failed $$module"; \
	done; \
	echo "== simulator, and every rule of the feed switched off in turn"; \
	$(GO) test -tags mutate -count=1 ./internal/feed || failed="$$failed simulator"; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed"; exit 1; fi; \
	echo "passed: $(MODULES)"

check: test tidy lint ## test, tidy and lint: run it before you push

tidy: ## check that every go.mod says just what its module needs
	@for module in $(MODULES); do ( cd $$module && $(GO) mod tidy -diff ) || exit 1; done; echo "tidy: $(MODULES)"

lint: ## golangci-lint when it is installed (LINT=fetch builds the pinned one first)
	@if [ "$(LINT)" = fetch ]; then set -- $(GO) run $(GOLANGCI); \
	elif command -v golangci-lint >/dev/null; then set -- golangci-lint; \
	else echo "lint NOT RUN: golangci-lint is not installed; make lint LINT=fetch builds $(GOLANGCI_VERSION)"; exit 0; fi; \
	config=$$PWD/.golangci.yml; \
	for module in $(MODULES); do echo "== lint $$module"; ( cd $$module && "$$@" run --config "$$config" ./... ) || exit 1; done

format: ## gofmt every file
	gofmt -w $$(find . -name '*.go' -not -path './.git/*')

fuzz: ## each fuzz target for FUZZTIME (10s)
	@GO='$(GO)' scripts/fuzz $(FUZZTIME) $(MODULES)

bench: ## measure against peers; BENCH=regexp selects rows
	@cd bench && BENCH='$(BENCH)' $(GO) run .

images: ## photograph the pages of the demo into docs/images (needs Chromium)
	$(GO) test ./cmd/wafer -run 'Test(Demo|SPA)InABrowser' -count=1 -images $(abspath $(IMAGES))

clean: ## remove what the other targets built
	rm -rf bin
