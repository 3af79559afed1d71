"""`cti dialplan`: the dialplan as tested code. Knows: its commands; each lives in a file of its own."""

from __future__ import annotations

import click

from cti.cli.dialplan_check import check_command
from cti.cli.dialplan_deploy import deploy_command, diff_command
from cti.cli.dialplan_test import test_command
from cti.cli.dialplan_trace import trace_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def dialplan() -> None:
    """拨号方案：检查、按故事测试、看一通电话怎么走、上线 / the dialplan: checked, tested by stories, traced, put into
    service."""


dialplan.add_command(check_command)
dialplan.add_command(test_command)
dialplan.add_command(trace_command)
dialplan.add_command(diff_command)
dialplan.add_command(deploy_command)
