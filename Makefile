# hotline-cti. `make help` lists the targets.
#
# Everything that is made lies in .venv and .runtime; `make clean` leaves nothing else behind.
# Set-up steps look at what is there first: repeating a target costs nothing.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

RUNTIME ?= .runtime
PY := .venv/bin/python
PACKAGES := cti ivr conference bench tests
ARGS ?=
# make run SITES=2: two sites that lend each other seats
SITES ?= 1
# make run SCENARIO=flood: a flood at one of two sites, an emergency plan from start to stop
SCENARIO ?=
# Tests on the real parts wait most of their time: three at once keep two cores half busy. JOBS=0: one after another.
JOBS ?= 3

export PYTHONDONTWRITEBYTECODE = 1

.PHONY: help run test test-fast lint fix bench chaos storm setup venv runtime rehearsal lock pins clean

help: ## 显示本说明 / show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: setup ## 起全套并打开演示（Ctrl-C 全部停止） / everything on loopback with simulated callers (Ctrl-C stops all)
	@exec $(PY) -m cti up --demo --sites $(SITES) $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS)

test: setup rehearsal lint ## 静态检查＋全部测试（真实 Asterisk） / lint and the whole suite on the real parts
	$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-fast: venv ## 只跑不需要 Asterisk 的测试 / only what needs nothing but Python
	$(PY) -m pytest -n 2 tests/unit $(ARGS)

lint: venv ## ruff、mypy strict、导入约束 / ruff, mypy strict, import contract
	$(PY) -m ruff check $(PACKAGES)
	$(PY) -m mypy $(PACKAGES)
	.venv/bin/lint-imports --no-logo

fix: venv ## 修正可自动修的 / let ruff mend what it can
	$(PY) -m ruff check --fix $(PACKAGES)

bench: setup ## 量时延与容量 / measure latency and capacity
	$(PY) -m bench $(ARGS)

chaos: setup ## 边杀服务、链路、Redis 边拨测；同一瞬间的两个动作 / dial tests while parts are killed; races (about 30 min)
	$(PY) -m cti dialtest onekey --chaos --beside 2 $(ARGS)
	$(PY) -m cti dialtest conference --chaos --n 200 --beside 2 $(ARGS)
	$(PY) -m cti dialtest races --n 300 --beside 2 $(ARGS)
	$(PY) -m cti dialtest conference-races --n 320 --beside 2 $(ARGS)

storm: setup ## 每秒二十通，边杀账本各部件，由话机逐通核对 / 20 calls/s while the ledger's parts fail; counted by the phones (8 min)
	$(PY) -m bench.ledger_storm $(ARGS)

setup: venv runtime ## 只做准备，不启动 / prepare only

venv:
	@sh tools/bootstrap.sh

runtime: venv
	@$(PY) -m cti.stack.root --dest $(RUNTIME)

rehearsal: runtime # the container images' lines, carried out without a container engine (47 MB once, and wheels)
	@$(PY) -m tests.rehearsal $(RUNTIME)/image

pins: rehearsal ## 镜像的软件版本改为现用版本 / pin the image's packages to the versions unpacked now
	@$(PY) tools/pins.py

lock: venv ## 依赖变更后重做哈希锁 / remake the hash locks after pyproject.toml changed
	@command -v uv >/dev/null || { echo "需要 uv / uv is needed: pip install uv" >&2; exit 1; }
	@for spec in "requirements.txt --extra export" "requirements-dev.txt --extra dev -c requirements.txt"; do \
	    set -- $$spec; out=$$1; shift; \
	    uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	        --no-emit-find-links --custom-compile-command 'make lock' "$$@" -o $$out pyproject.toml || exit 1; \
	done
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command 'make lock' --allow-unsafe -c requirements-dev.txt \
	    -o docker/requirements-build.txt docker/requirements-build.in
	@! grep -nE '://|--(extra-)?index-url|--find-links|file:' requirements*.txt docker/requirements-build.txt

clean: ## 删除一切生成物 / remove everything that was made
	rm -rf .venv $(RUNTIME) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
