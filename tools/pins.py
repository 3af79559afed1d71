"""Rewrite the Dockerfile's package pins to what is unpacked in .runtime now (`make pins`), i.e. to what the suite runs.

Knows: `name=version*` in docker/Dockerfile and the two locks below .runtime. Changes nothing else; says what.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
DOCKERFILE = HERE / "docker/Dockerfile"
LOCKS = (HERE / ".runtime/lock.json", HERE / ".runtime/image/root/rehearsal.json")
PIN = re.compile(r"(?<=\s)([a-z0-9][a-z0-9+.-]*)=([^\s*]+)\*(?=\s)")


def main() -> int:
    unpacked: dict[str, str] = {}
    for lock in LOCKS:
        if not lock.exists():
            print(f"没有 {lock}，先运行 make setup rehearsal / no {lock}: run make setup rehearsal", file=sys.stderr)
            return 1
        packages = json.loads(lock.read_text())["packages"]
        unpacked |= {name: re.sub(r"\+b\d+$", "", entry["version"]) for name, entry in packages.items()}
    before = DOCKERFILE.read_text(encoding="utf-8")
    changed = {}

    def pin(match: re.Match[str]) -> str:
        name, old = match.groups()
        new = unpacked.get(name, old)
        if new != old:
            changed[name] = f"{name}: {old} → {new}"
        return f"{name}={new}*"

    after = PIN.sub(pin, before)
    if after != before:
        DOCKERFILE.write_text(after, encoding="utf-8")
    print("\n".join(changed.values()) or "没有变化 / nothing changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
