# The commands of this project; `make` lists them. Building and running needs
# only Go and make. Each module (the library here, daemon/, interop/, tools/) is
# built with GOWORK=off, as those who embed the library build it.

export GOWORK := off

MODULES  := . daemon interop
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL     := go tool -modfile=$(CURDIR)/tools/go.mod
RUNTESTS := $(CURDIR)/bin/runtests
comma    := ,
empty    :=
modules  := $(subst $(empty) $(empty),$(comma),$(MODULES))

# The race detector needs a C compiler; without one the tests run without it.
RACE := $(shell command -v $$(go env CC) >/dev/null 2>&1 && echo -race)

PLATFORMS := linux/amd64 linux/arm64 linux/386 darwin/arm64 windows/amd64

# T is how long `make fuzz` gives each target, ARGS goes to the program that
# `make run` starts, MODULE is the path that `make rename` gives the library, ID
# and SHORT are for `make bench`.
T      ?= 30s
ARGS   ?=
MODULE ?=
ID     ?=
SHORT  ?=

.DEFAULT_GOAL := help
.PHONY: help run build test race check fmt vet lint arch tidy cross fuzz bench interop interop-nat test-libsecp256k1 test-purego soak rename clean

help: ## list the commands
	@echo "parley: a devp2p stack. The commands:"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

run: build ## build the daemon and start it: make run ARGS="--port 30304"
	bin/parley run $(ARGS)

build: ## build the daemon as bin/parley, without a C compiler
	@cd daemon && CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(CURDIR)/bin/parley ./cmd/parley

test: $(RUNTESTS) ## test every module, shuffled and with the race detector
	@$(if $(RACE),,echo "No C compiler: without the race detector.")
	@$(if $(RACE),go test -run '^TestMillionMessages' ./p2p,true) # a tenth of them with the race detector
	@$(RUNTESTS) $(modules),tools $(RACE) -shuffle=on ./...

race: $(RUNTESTS) ## test the library five times with the race detector
	@$(RUNTESTS) . -race -shuffle=on -count=5 ./...

check: fmt vet lint arch tidy cross ## all checks that are not tests

fmt: ## check that the code is formatted
	@files=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	 if [ -n "$$files" ]; then echo "not formatted (gofmt -w):" $$files; exit 1; fi

vet: ## go vet in every module, with all build tags that need no C
	@for m in $(MODULES) tools; do echo "vet: $$m"; (cd $$m && go vet -tags interop ./...) || exit 1; done

lint: ## golangci-lint in every module, by .golangci.yml
	@for m in $(MODULES) tools; do echo "lint: $$m"; (cd $$m && $(TOOL) golangci-lint run ./...) || exit 1; done

arch: ## check the rules on imports, purity and package comments
	@go test -count=1 ./internal/archtest

tidy: ## check that go.mod and go.sum of every module are tidy
	@for m in $(MODULES) tools; do echo "tidy: $$m"; (cd $$m && go mod tidy -diff) || exit 1; done

cross: ## compile the library and the daemon for other systems
	@for p in $(PLATFORMS); do echo "build: $$p"; for m in . daemon; do \
	  (cd $$m && CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./...) || exit 1; done; done

fuzz: ## run every fuzz target for T: make fuzz T=5m
	@for m in $(MODULES); do (cd $$m && go test -list '^Fuzz' ./... | \
	  awk '/^Fuzz/ { t[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, t[i] } /^(ok|\?)/ { n = 0 }' | \
	  while read -r pkg target; do echo "fuzz: $$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(T) "$$pkg" || exit 1; done) || exit 1; done

bench: ## compare with the reference: make bench ID=B2 for a row, SHORT=1 in short
	@cd interop/bench && go run ./cmd/compare $(if $(ID),-id $(ID)) $(if $(SHORT),-short)

interop: $(RUNTESTS) ## test against other implementations, which it installs first
	@$(RUNTESTS) interop -tags=interop -count=1 -timeout=30m $$(cd interop && go list -tags=interop ./... | grep -v /natlab)

# Its tests wait more than they compute: all that can run side by side do.
interop-nat: $(RUNTESTS) ## test networks in namespaces, a real gateway too; needs root, installs it by apt
	@$(RUNTESTS) interop -tags=interop -count=1 -parallel=16 -timeout=15m ./natlab/...

test-libsecp256k1: $(RUNTESTS) ## test the library with libsecp256k1 (installs it by apt if missing)
	@pkg-config --exists libsecp256k1 2>/dev/null || { \
	  sudo=$$(command -v sudo || true); \
	  $$sudo apt-get update -q && $$sudo apt-get install -q -y --no-install-recommends libsecp256k1-dev pkg-config gcc libc6-dev; } >/dev/null
	@CGO_ENABLED=1 $(RUNTESTS) . -tags=libsecp256k1 $(RACE) -shuffle=on ./...

# The tests of rlpx seal by every width anyway, but on a processor with AVX each by
# its assembler. With the tag there is none: every width permutes in plain Go, and the
# Server's own Sealer has width 1, so that it seals broadcasts one after the other.
# AES and SHA-256 of the standard library are in plain Go then, too.
test-purego: $(RUNTESTS) ## test the wire packages without assembler
	@$(RUNTESTS) . -tags=purego -shuffle=on ./internal/keccak ./rlpx
	@$(RUNTESTS) . -tags=purego -shuffle=on -run 'Broadcast|Spread|Share|Load' ./p2p

soak: ## run the long forms of tests
	@go test -count=1 -timeout=60m -run '^TestL10' ./p2p -soak
	@go test -count=1 -timeout=60m -run '^TestLoad$$' -v $(RACE) ./p2p -soak
	@go test -count=1 -timeout=60m -v -run '^TestTwoHundredNodes' ./discover -soak
	@go test -count=1 -timeout=60m -run '^TestL11' -v ./internal/peerset -soak
	@cd daemon && go test -count=1 -timeout=60m -v -run '^TestL4' ./cmd/parley -soak

rename: ## give the library another module path: make rename MODULE=example.org/parley
	@test -n "$(MODULE)" || { echo 'usage: make rename MODULE=example.org/parley'; exit 2; }
	@cd tools && go run ./rename .. $(MODULE)

clean: ## remove what was built
	@rm -rf bin dist

# Rebuilt whenever a source is newer.
$(RUNTESTS): $(filter-out %_test.go,$(wildcard tools/runtests/*.go))
	@cd tools && go build -o $@ ./runtests
