"""What comes of messages to real hosts: taken, refused, not answered, nobody there; and that one holds up no other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from dags.alerts.channels import read_channels
from dags.alerts.deliver import deliver
from dags.alerts.messages import Message, Tone
from dags.settings import read_settings
from dags.tests.alerts.hosts import free_port, hearing, taking_mail

if TYPE_CHECKING:
    from collections.abc import Sequence

SAID = (
    Message("NEEDS YOU: days are wrong", "whom: team 7 <b>&amp;</b>\n$: dg launch --job why_job", Tone.FAILURE),
    Message("OVER: days are wrong", "until: now :smile: \\t", Tone.SUCCESS),
)


def sent(*urls: str, messages: Sequence[Message] = SAID, seconds: float = 20) -> dict[str, list[str]]:
    """By channel, why it did not take a message, of each in its order; empty where it took it."""
    channels = read_channels(read_settings({"WEB_ANALYTICS_ALERT_URLS": " ".join(urls)}))
    found: dict[str, list[str]] = {str(channel): [] for channel in channels}
    asked = dict.fromkeys(channels, tuple(messages))
    for outcome in deliver(asked, seconds):
        assert outcome.message == messages[len(found[str(outcome.channel)])]
        found[str(outcome.channel)].append(outcome.why)
    return found


def test_each_kind_of_channel_takes_messages_as_they_were_written() -> None:
    with hearing() as by_json, hearing() as by_xml, taking_mail() as (mail_url, mailbox):
        assert sent(by_json.url(), by_xml.url("xml"), mail_url) == {
            "channel 1 (json)": ["", ""],
            "channel 2 (xml)": ["", ""],
            "channel 3 (mailto)": ["", ""],
        }
    assert [(one["title"], one["message"], one["type"]) for one in by_json.heard] == [
        (one.subject, one.body, one.tone) for one in SAID
    ]
    assert ["<Subject>NEEDS YOU: days are wrong</Subject>" in one for one in by_xml.heard] == [True, False]
    assert [mail["Subject"] for mail in mailbox.mails] == [one.subject for one in SAID]
    body = mailbox.mails[0].get_body(("plain", "html"))
    assert body is not None
    assert "dg launch --job why_job" in body.get_content()


@pytest.mark.long
def test_a_dead_channel_keeps_no_other_from_it_and_each_says_why() -> None:
    with hearing() as alive, hearing() as refusing, hearing() as slow:
        refusing.status, slow.seconds = 503, 60
        begun = time.monotonic()
        found = sent(
            alive.url(),
            refusing.url(),
            f"{slow.url()}?rto=60",
            f"json://127.0.0.1:{free_port()}",
            f"mailto://127.0.0.1:{free_port()}?from=a@example.com&to=b@example.com&mode=insecure",
            f"{refusing.url()}?optional=yes",
            seconds=5,
        )
        took = time.monotonic() - begun
    none = "it could not be reached, or refused"
    assert found == {
        "channel 1 (json)": ["", ""],
        "channel 2 (json)": ["it answered 503"] * 2,
        "channel 3 (json)": ["no answer within 5 s"] * 2,
        "channel 4 (json)": [none] * 2,
        "channel 5 (mailto)": [none] * 2,
        "channel 6 (json)": ["it answered 503"] * 2,
    }
    assert alive.subjects == [one.subject for one in SAID]
    assert 5 <= took < 9


@pytest.mark.long
def test_what_was_taken_before_the_deadline_counts() -> None:
    with hearing() as slow:
        slow.seconds = 3
        assert sent(f"{slow.url()}?rto=30", seconds=5) == {"channel 1 (json)": ["", "no answer within 5 s"]}


def test_a_process_that_dies_is_channels_that_took_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dags.alerts.deliver.sys.executable", "/bin/false")
    assert sent("json://127.0.0.1:9", "xml://127.0.0.1:9") == dict.fromkeys(
        ["channel 1 (json)", "channel 2 (xml)"], ["the process that sends has ended"] * 2
    )
