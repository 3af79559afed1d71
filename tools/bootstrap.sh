#!/bin/sh
# Makes .venv from the hash-locked requirements; does nothing when it is already what the locks say.
#
# Reads: requirements-dev.txt, pyproject.toml. Writes: .venv only. Needs python >= 3.11 with venv; never needs root.
# pip's own configuration on this machine (index, proxy, certificates, cache) is left to speak for itself.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.hotline-stamp

say() { printf '%s\n' "$*" >&2; }
die() { say "✗ $*"; exit 1; }

# The stamp covers what decides the contents, and the place: a venv that was copied or moved has stale paths inside.
wanted() { { cat requirements-dev.txt pyproject.toml tools/bootstrap.sh; pwd -P; } | sha256sum | cut -d' ' -f1; }
fresh() { [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$1" ] && "$venv/bin/python" -c '' 2>/dev/null; }

find_python() {
    for name in ${PYTHON:-} python3.14 python3.13 python3.12 python3.11 python3; do
        command -v "$name" >/dev/null 2>&1 || continue
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        found=$name
        "$name" -c 'import venv, ensurepip' 2>/dev/null && return 0
    done
    [ -z "${found:-}" ] && die "需要 Python 3.11 或更高版本 / Python 3.11 or newer is needed: apt-get install python3 python3-venv"
    die "$found 缺少 venv / $found has no venv module: apt-get install $("$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
}

want=$(wanted)
fresh "$want" && exit 0

# Two makes at once: the second waits, then finds the work done.
if command -v flock >/dev/null 2>&1 && [ -z "${HOTLINE_BOOTSTRAP_LOCKED:-}" ]; then
    mkdir -p .runtime
    HOTLINE_BOOTSTRAP_LOCKED=1 exec flock .runtime/.venv.lock sh tools/bootstrap.sh
fi

find_python
say "▸ 准备 Python 环境 / preparing $venv with $($found --version 2>&1)"
rm -f "$stamp"
# An interpreter that no longer starts (moved folder, upgraded system) is no base to repair.
if [ -e "$venv" ] && ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then rm -rf "$venv"; fi
"$found" -m venv "$venv" || die "$found -m venv $venv 失败 / failed"

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input -q "$@"; }
pip install --require-hashes -r requirements-dev.txt || die "依赖安装失败：请检查网络与 pip 配置 / installing the locked requirements failed: check the network and pip's configuration (pip config debug)"
# hatchling is in the lock, so nothing outside the lock is fetched to build our own package.
pip install --no-deps --no-build-isolation -e . || die "安装本项目失败 / installing this project failed"
printf '%s\n' "$want" >"$stamp"
