"""Where the product's own files are: the repository's `dialplan/` and `config/`, or their copies in an installed
package."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """`dialplan` or `config`. Raises FileNotFoundError when neither the repository nor the package has it."""
    for place in (_HERE.parent / name, _HERE / "_share" / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{name}/ is neither beside the cti package nor inside it; reinstall hotline-cti")
