"""The answer as one HTML page that needs nothing else: no script, no network, no font or picture of anywhere.

Pure: no clock, no database, no Dagster. What stands in it may be anybody's words: whatever the template shows is
cleaned of what turns the reading direction or is no character, cut where it is endless, and escaped, none of which a
template can forget. Its size does not grow with the teams: the worst are named, the others summed.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dags.domain.text import counted, shortened
from dags.health import sections
from dags.health.grid import LEGEND, SIGNS, WORDS, grid
from dags.health.page_file import MARK
from dags.health.report import counts_in_words, printable
from dags.health.words import age_in_words
from dags.work.progress import seconds_in_words

if TYPE_CHECKING:
    from datetime import datetime

    from jinja2 import Template

    from dags.health.causes import Health

# So many characters of anybody's words; an error's first lines are fewer.
MAX_CHARACTERS = 1000

# In full; what presses less comes last, and is counted.
CAUSES = 100


def html_page(health: Health) -> str:
    """The whole document, which begins with `MARK`."""
    facts, found = health.facts, health.facts.evaluated
    shown = health.causes[:CAUSES]
    text = _template().render(
        health=health,
        facts=facts,
        counts=counts_in_words(health.causes),
        causes=shown,
        left_out=counts_in_words(health.causes[CAUSES:]),
        detection=found.detection if found is not None else None,
        grid=grid(found.detection) if found is not None and found.detection.teams else None,
        fresh=sections.freshness_of(health),
        days=sections.days_of(health),
        works=sections.works_of(health),
        loads=sections.loads_of(health),
        held=sections.held_of(health),
        waivers=sections.waivers_of(health),
        unread={section.name: error for section, error in facts.unread.items()},
    )
    return MARK + text


def _clean(value: object) -> object:
    """What an expression of the template comes to, as it may stand in a page."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value  # a macro's: what it shows was cleaned there
    text = printable(value)
    return shortened(text, MAX_CHARACTERS)


def _instant(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value is not None else "-"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("dags.health", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda value: f"{value:,}",
        "instant": _instant,
        "age": age_in_words,
        "took": seconds_in_words,
        "share": lambda value: f"{value:.1%}" if value is not None else "-",
        "slug": lambda value: str(value).lower().replace(" ", "-"),
    }
    environment.globals |= {"counted": counted, "LEGEND": LEGEND, "SIGNS": SIGNS, "WORDS": WORDS}
    return environment.get_template("page.html")
