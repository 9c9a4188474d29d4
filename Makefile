# The build and the tests are Go programs under scripts/; this only names them.

.DEFAULT_GOAL := help
.PHONY: help build run test test-engines soak bench fmt clean

help:
	@echo 'make build   bin/livevalet and web/dist/, what changed since the last time'
	@echo 'make run     build, then page, issuer and emulator at http://localhost:8080'
	@echo '             (LISTEN=host:port for another address)'
	@echo 'make test    everything that continuous integration runs'
	@echo 'make test-engines  the page in Chromium, Firefox and WebKitGTK, which it'
	@echo '             installs if it may; about four minutes'
	@echo 'make soak    fuzz and property tests in their long form; a minute for each target'
	@echo 'make bench   measure the program under load, with tables; about four minutes'
	@echo 'make fmt     format the Go files'
	@echo 'make clean   remove what the build made and remembered'

build:
	@go run ./scripts/build

run: build
	@exec bin/livevalet dev $(if $(LISTEN),--listen '$(LISTEN)')

test:
	@go run ./scripts/test

test-engines:
	@go run ./scripts/test -engines

soak: build
	@go run ./scripts/soak

bench: build
	@go run ./scripts/bench

fmt:
	@gofmt -w docs issuer scripts wasm $(wildcard web/*.go)

clean:
	@rm -rf bin .cache .out web/dist docs/examples/dist $(addsuffix /node_modules,web docs/examples issuer/emulator/sdktest)
