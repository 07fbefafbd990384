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


def test_a_channel_stays_the_same_one_when_the_order_changes() -> None:
    [one, two] = channels_of(f"json://u:{SECRET}@a.example", "xml://b.example")
    assert channels_of("xml://b.example", f"json://u:{SECRET}@a.example") == [(1, *two[1:]), (2, *one[1:])]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("json://u:{0}@a.example", "json://u:{0}@b.example"),
        ("json://u:{0}@a.example", "json://u:another@a.example"),
        ("mailto://u:{0}@smtp.example?to=a@x.example", "mailto://u:{0}@smtp.example?to=b@x.example"),
        # Of both apprise shows the same: what differs is a part of what it takes for a secret.
        ("slack://TAAAAAAAA/BAAAAAAAA/" + 24 * "a" + "/#data", "slack://TAABBBBBA/BAABBBBBA/" + 24 * "a" + "/#data"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "tgram://123456789:abcdefg_hijklnop/12315544/"),
    ],
)
def test_another_address_in_its_place_is_another_channel(one: str, other: str) -> None:
    [(_, _, first)], [(_, _, second)] = channels_of(one.format(SECRET)), channels_of(other.format(SECRET))
    assert first != second


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
