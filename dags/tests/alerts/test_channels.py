"""Where alerts go: which URLs are taken, by which names they are known, and that nothing of them is shown."""

from __future__ import annotations

import logging

import pytest

from dags.alerts.channels import read_channels
from dags.domain.errors import SettingsError
from dags.settings import read_settings

SECRET = "hunter22"


def channels_of(*urls: str) -> list[tuple[int, str, str]]:
    found = read_channels(read_settings({"WEB_ANALYTICS_ALERT_URLS": "\n".join(urls)}))
    return [(channel.place, channel.scheme, channel.id) for channel in found]


def test_a_channel_is_known_by_its_place_and_scheme() -> None:
    urls = (f"json://u:{SECRET}@a.example", f"mailtos://u:{SECRET}@b.example?to=c@d.example,e@f.example")
    found = read_channels(read_settings({"WEB_ANALYTICS_ALERT_URLS": " ".join(urls)}))
    assert [str(channel) for channel in found] == ["channel 1 (json)", "channel 2 (mailtos)"]
    assert SECRET not in repr(found)
    assert read_channels(read_settings({})) == ()


def test_a_channel_stays_the_same_one_when_the_order_the_password_or_an_option_changes() -> None:
    [one, two] = channels_of(f"json://u:{SECRET}@a.example", "xml://b.example")
    assert channels_of("xml://b.example", "json://u:another@a.example?cto=9") == [(1, *two[1:]), (2, *one[1:])]
    assert one[2] != channels_of(f"json://u:{SECRET}@other.example")[0][2]


def test_two_urls_that_look_alike_are_two_channels() -> None:
    ids = [name for _, _, name in channels_of("json://u:1@a.example", "json://u:2@a.example", "json://u:1@a.example")]
    assert len(set(ids)) == 3


def test_urls_that_apprise_can_do_nothing_with_are_named_by_their_places_and_not_shown(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(SettingsError) as refused:
        channels_of("json://fine", f"slak://{SECRET}/{SECRET}", f"https://example.com/{SECRET}", f"slack://{SECRET}")
    assert str(refused.value) == (
        "WEB_ANALYTICS_ALERT_URLS is not usable, number 2, 3, 4: give URLs that apprise can send to, separated by "
        "blanks or line ends (apprise --details lists which there are)"
    )
    assert SECRET[:4] not in f"{caplog.text}{capfd.readouterr()}"
