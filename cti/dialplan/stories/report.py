"""What a run of stories looks like: dots or names, failures with what was expected and what was there.

Knows: results, a console. Must not know: phones, Asterisk.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from cti.dialplan.stories.playing import Played, Result


class Show:
    """Tells a run as it goes. ``verbose``: a line a story instead of a dot; ``quiet``: nothing (--json)."""

    def __init__(self, console: Console, *, verbose: bool, quiet: bool) -> None:
        self._console, self._verbose, self._quiet = console, verbose, quiet
        self._dots = 0

    def story(self, result: Result) -> None:
        """One is over."""
        if self._quiet:
            return
        if self._verbose:
            mark = "[green]✓[/]" if result.passed else "[red]✗[/]"
            self._console.print(f"{mark} {result.seconds:5.1f} s  ", end="", highlight=False)
            self._plain(result.placed.id)
            return
        self._console.print("[green].[/]" if result.passed else "[red]F[/]", end="")
        self._dots += 1
        if self._dots % 60 == 0:
            self._console.print()

    def end(self, played: Played, seconds: float) -> None:
        """Failures at length, then the verdict."""
        if self._quiet:
            return
        if self._dots % 60:
            self._console.print()
        for result in played.results:
            if not result.passed:
                self._failure(result)
        failed = sum(not result.passed for result in played.results)
        good = len(played.results) - failed
        colour = "red" if failed else "green"
        self._console.print(
            f"[{colour}]{good} 通过 passed，{failed} 失败 failed[/]，{seconds:.1f} s"
            f"（启动 boot {played.boot_s:.1f} s）",
            highlight=False)  # fmt: skip

    def _failure(self, result: Result) -> None:
        self._console.print("─" * 20, "失败 failed", "─" * 20, style="red")
        where = f"{result.placed.file}:{result.line}"
        step = f" 第 {result.step} 步 step {result.step}" if result.step else ""
        self._plain(f"{where}: {result.placed.name}{step}")
        for missed in result.missed:
            self._plain(f"  期望 expected: {missed.wanted}")
            self._plain(f"  实际 actual:   {missed.got}")
        for line in result.heard:
            self._plain(f"    {line}")
        if result.contexts:
            self._plain(f"  经过 passed: {' → '.join(result.contexts)}")
        if result.ladder:
            self._plain(result.ladder)

    def _plain(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def as_dict(played: Played, seconds: float) -> dict[str, Any]:
    """The run for programs."""
    return {
        "passed": played.passed,
        "seconds": round(seconds, 1),
        "boot_s": round(played.boot_s, 1),
        "contexts": sorted(played.entered),
        "stories": [
            {
                "file": str(result.placed.file), "line": result.line, "story": result.placed.name,
                "passed": result.passed, "seconds": round(result.seconds, 2), "step": result.step or None,
                "missed": [{"expected": m.wanted, "actual": m.got} for m in result.missed], "heard": result.heard,
                "contexts": result.contexts, "ladder": result.ladder,
            }
            for result in played.results
        ],
    }  # fmt: skip
