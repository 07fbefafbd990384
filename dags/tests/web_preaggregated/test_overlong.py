"""Sessions that outlast what a build reads, and copies of an event that lie far apart: what counts, what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from dags.tests.events import Event, insert
from dags.tests.fold import fold, stored
from dags.tests.variants import at_night, embedded_at_night
from dags.tests.world import BOUNCES, STATS, ago, noon

if TYPE_CHECKING:
    from dags.tests.world import World

# The first to the sixth day, all over.
DAYS = [ago(days) for days in range(8, 2, -1)]


def said(world: World, day: str) -> tuple[dict[str, object], list[str]]:
    """What the build of a day reports of events that it left out, by table, and in the log of its run."""
    ran = world.loop.run("web_pre_aggregate_job", partition_key=day)
    materialized = ran.asset_materializations_for_node("web_pre_aggregated")
    log = [record.user_message for record in world.instance.all_logs(ran.run_id)]
    return (
        {one.asset_key.to_user_string(): one.metadata["uncounted_events"].value for one in materialized},
        [line for line in log if "counted on no day" in line],
    )


@at_night
@embedded_at_night
def test_events_that_no_day_counts_are_counted_in_what_the_build_of_the_day_before_reports(world: World) -> None:
    world.select(1, 2)
    endless = [Event(1, noon(day, minute), "endless", pathname="/e") for day in DAYS[:5] for minute in (0, 1)]
    insert(
        world.client,
        events := [
            *endless,
            # Another tenant's session of the same name; one that ends on its second day; one that is silent for a day;
            # one without a page view; events without a session.
            *(Event(2, noon(day), "endless") for day in DAYS[:4]),
            *(Event(1, noon(day), "second day") for day in DAYS[1:3]),
            *(Event(1, noon(DAYS[number]), "silent") for number in (0, 2, 3)),
            *(Event(1, noon(day), "unseen", "$autocapture") for day in DAYS),
            *(Event(1, noon(day), "") for day in DAYS),
            # Two days apart: no build that counts one of the copies sees the other. A day apart: one of them sees both.
            *(Event(1, noon(DAYS[number]), f"copy {number}", uuid=UUID(int=2**100)) for number in (0, 2)),
            *(Event(1, noon(DAYS[number]), "copied", uuid=UUID(int=2**101)) for number in (0, 1)),
        ],
    )
    found = [said(world, day.isoformat()) for day in DAYS]
    # By the day that is built: the events of the day after it.
    expected = [0, 2 + 1, 2 + 1, 2, 0, 0]
    assert [by_table for by_table, _ in found] == [{STATS: number, BOUNCES: number} for number in expected]
    words = "counted on no day, events of {after} whose sessions had begun before {day}: {number}"
    assert [log for _, log in found] == [
        [f"{day}: {words.format(day=day, after=after, number=number)}"] if number else []
        for day, after, number in zip(DAYS, [*DAYS[1:], ago(2)], expected, strict=True)
    ]
    for table in (STATS, BOUNCES):
        for day in DAYS:
            assert stored(world.client, table, day) == fold(events, day, table), (table, day)
    # Nothing is missing beside them: what counts and what was reported is all that there is, a copy once too often.
    in_sessions = [event for event in events if event.session_id not in {"", "unseen"}]
    [(counted,)] = world.client.query(f"SELECT sumMerge(pageviews_count_state) FROM {STATS}").result_rows
    assert counted + sum(expected) == len(in_sessions) - 1
    assert world.missing_data()["wrong_units"] == 0
