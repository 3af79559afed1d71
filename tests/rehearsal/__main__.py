"""`python -m tests.rehearsal [DEST]`: prepare the rehearsal of the container images (set-up of `make test`).

Once, and again when the Dockerfile's packages or the locked requirements change; later calls cost nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cti.stack.mmdebstrap import Progress, RootFailed
from tests.rehearsal.carry import StepFailed, ensure_build
from tests.rehearsal.inside import CannotEnter


def main(dest: Path) -> int:
    seen = ""

    def tell(step: Progress) -> None:
        nonlocal seen
        if step.stage != seen and not step.detail:
            print(f"▸ 镜像演练 / image rehearsal: {step.stage}", file=sys.stderr)
        seen = step.stage

    try:
        ensure_build(dest.absolute(), tell)
    except (RootFailed, StepFailed) as why:
        print(f"✗ {why}", file=sys.stderr)
        return 1
    except CannotEnter as why:  # the tests that need it say so as well
        print(f"· {why}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".runtime/image")))
