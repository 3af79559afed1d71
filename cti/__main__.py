"""The command `cti`. Knows: which commands there are; each lives in a file of `cti/cli/`."""

from __future__ import annotations

import click

from cti.cli.backup import backup, restore_command
from cti.cli.callbacks import callbacks
from cti.cli.check import check
from cti.cli.dashboards import dashboards
from cti.cli.dialplan import dialplan
from cti.cli.dialtest import dialtest
from cti.cli.disputes import disputes_command
from cti.cli.export import export
from cti.cli.leases import leases
from cti.cli.ledger import ledger
from cti.cli.look import replay, status, trace
from cti.cli.nuisance import nuisance
from cti.cli.phones import phones
from cti.cli.plan import plan
from cti.cli.prompts import prompts
from cti.cli.rate import rate
from cti.cli.recordings import recordings
from cti.cli.render import render_command
from cti.cli.report import report
from cti.cli.run import run, up
from cti.cli.seats import seats
from cti.cli.token import token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hotline-cti")
def main() -> None:
    """12345 与 110 一键转接 / one key moves a live caller between 12345 and 110.

    \b
    cti check                     检查配置 / check the configuration
    cti dialplan check            检查拨号方案 / check the dialplan, load it in a throwaway Asterisk
    cti up                        起一套完整系统 / Valkey, Asterisk and the service, embedded
    cti run                       只起服务 / the service alone, against your Asterisk
    cti render DIR                你自己的 Asterisk 的配置 / the configuration for an Asterisk of yours
    cti status                    现在如何 / how things stand
    cti rate                      人工接通率 / the official answer rate: day, 24 h, month
    cti seats                     席位状态 / the seats and their status
    cti token --seat 1001         接口令牌 / a token for the API
    cti callbacks                 回电任务 / who is to be called back
    cti nuisance list             骚扰名单 / the nuisance list: proposals, approval, appeals
    cti leases                    席位互借 / seats lent between sites
    cti plan start flood-dali     应急方案、演练 / emergency plans, drills
    cti recordings list           录音 / recordings: list, verify, purge
    cti prompts check             提示音 / prompts: list, build, check, export
    cti phones render             话机配置 / provisioning of the seats' phones: render, serve
    cti ledger verify             账本是否完整 / is the ledger whole
    cti trace REF                 一通电话的经过 / one call as a ladder
    cti seats plan                需要几席 / how many seats are needed
    cti disputes                  争议清单 / disputed decisions, for the quarterly meeting
    cti dashboards --out DIR      Grafana 看板 / Grafana's dashboards, two languages
    cti report quarter 2026Q4     季度报告 / the quarterly report, HTML and Excel
    cti export calls --from 2026-11-01   批量导出 / in bulk, CSV or Parquet
    cti ledger archive            归档、保留期 / archives, retention
    cti backup DIR                备份、恢复 / back up; restore BACKUP
    cti dialplan test             按故事测试拨号方案 / the dialplan's stories, played
    cti dialtest onekey-12345-110 拨测 / real calls with test phones
    """


for command in (check, run, up, render_command, status, trace, replay, callbacks, seats, dialtest, dialplan, token,
                recordings, disputes_command, leases, nuisance, plan, phones, prompts, export, report, ledger, rate,
                backup, restore_command, dashboards):  # fmt: skip
    main.add_command(command)

if __name__ == "__main__":
    main()
