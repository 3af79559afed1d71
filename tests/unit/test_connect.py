"""Redis by URL: the three forms, and what is said of one that is none."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis, RedisCluster

from cti.ledger.connect import connect
from cti.settings import RedisSettings


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://h:6379/0", Redis), ("rediss://u:p@h:6379/1", Redis), ("unix:///run/valkey.sock", Redis),
        ("redis+sentinel://:p%40ss@a:26379,b:26379/hotline/2", Redis), ("redis+sentinel://[::1]:26379/hotline", Redis),
        ("redis+cluster://u:p@a:7000,b:7001", RedisCluster),
    ],
)  # fmt: skip
def test_each_form_gives_its_client_and_is_a_setting(url: str, kind: type) -> None:
    assert isinstance(connect(url), kind)
    assert RedisSettings(url=url).url == url


@pytest.mark.parametrize(
    "url", ["http://h", "redis+sentinel://a:26379", "redis+sentinel://a/hotline", "redis+cluster://a,b:7000", ""]
)
def test_what_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError):
        connect(url)
    with pytest.raises(ValueError):
        RedisSettings(url=url)
