"""`make bench`: every measurement in one go, into `bench/results.json`, each with the command that repeats it.

Knows: the benches by name. Must not know: what they measure. `python -m bench NAME…` runs some of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHES: dict[str, list[str]] = {
    "ami_ingest": ["-m", "bench.ami_ingest", "--json"],
    "ledger": ["-m", "bench.ledger", "--json"],
    "export": ["-m", "bench.export", "--json"],
    "fastagi": ["-m", "bench.fastagi", "--json"],
    "transfer": ["-m", "bench.transfer", "--json"],
    "seats": ["-m", "bench.seats", "--json"],
    "queue_offer": ["-m", "bench.queue_offer", "--json"],
    "load": ["-m", "bench.load", "--json"],
    "recording": ["-m", "bench.recording", "--json"],
    "province_day": ["-m", "bench.province_day", "--json"],
    "onekey-12345-110": ["-m", "cti", "dialtest", "onekey-12345-110", "--n", "30", "--json"],
    "onekey-110-12345": ["-m", "cti", "dialtest", "onekey-110-12345", "--n", "30", "--json"],
}


def main() -> int:
    """0 when every bench ran; one that fails is recorded with its words and the others go on."""
    known = ", ".join(BENCHES)
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=f"names: {known}")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    chosen = parser.parse_args()
    strangers = [name for name in chosen.names if name not in BENCHES]
    if strangers:
        parser.error(f"unknown bench {', '.join(strangers)}; there are: {known}")
    results: dict[str, object] = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    failed = 0
    for name in chosen.names or BENCHES:
        print(f"▸ {name}", flush=True)
        argv = [sys.executable, *BENCHES[name]]
        done = subprocess.run(argv, cwd=HERE.parent, capture_output=True, text=True, check=False)
        try:
            figures: object = json.loads(done.stdout)
        except ValueError:
            figures = {"error": (done.stderr or done.stdout)[-2000:]}
        if isinstance(figures, dict):
            figures.pop("runs", None)
        failed += done.returncode != 0
        results[name] = {
            "command": "python " + " ".join(BENCHES[name]), "exit": done.returncode, "figures": figures,
            "when": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(),
            "python": platform.python_version(),
        }  # fmt: skip
        print(f"  {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
    chosen.out.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{chosen.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
