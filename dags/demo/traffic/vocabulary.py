"""The values that generated traffic is made of, with their weights: chosen to be varied, not a statistic."""

from typing import NamedTuple

# What trackers say, and readers of the pre-aggregated tables expect, where a session has no referrer.
DIRECT = "$direct"


class Device(NamedTuple):
    """What a visitor browses with; ``weight`` is relative to the other devices."""

    weight: float
    browser: str
    os: str
    device_type: str
    viewport_width: int
    viewport_height: int


class Place(NamedTuple):
    """Where a visitor is; a city of "" is an address that is not located."""

    weight: float
    country_code: str
    region_code: str
    region_name: str
    city_name: str


class Channel(NamedTuple):
    """How a session came to the site: its referrer, and what else its first pageview carries."""

    weight: float
    referring_domain: str = DIRECT
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_term: str = ""
    utm_content: str = ""
    gclid: str = ""
    gad_source: str = ""
    fbclid: str = ""


DEVICES = (
    Device(30, "Chrome", "Windows", "Desktop", 1920, 953),
    Device(12, "Chrome", "Mac OS X", "Desktop", 1440, 789),
    Device(9, "Safari", "Mac OS X", "Desktop", 1512, 823),
    Device(7, "Microsoft Edge", "Windows", "Desktop", 1536, 730),
    Device(6, "Firefox", "Linux", "Desktop", 1680, 916),
    Device(16, "Mobile Safari", "iOS", "Mobile", 390, 664),
    Device(14, "Chrome", "Android", "Mobile", 412, 772),
    Device(3, "Samsung Internet", "Android", "Mobile", 384, 700),
    Device(2, "Mobile Safari", "iOS", "Tablet", 820, 1106),
    Device(1, "", "", "", 0, 0),
)

PLACES = (
    Place(28, "US", "CA", "California", "San Francisco"),
    Place(14, "US", "NY", "New York", "New York"),
    Place(12, "GB", "ENG", "England", "London"),
    Place(10, "DE", "BE", "Land Berlin", "Berlin"),
    Place(8, "FR", "IDF", "Île-de-France", "Paris"),
    Place(8, "IN", "KA", "Karnataka", "Bengaluru"),
    Place(6, "BR", "SP", "São Paulo", "São Paulo"),
    Place(5, "JP", "13", "Tokyo", "Tokyo"),
    Place(4, "AU", "NSW", "New South Wales", "Sydney"),
    Place(5, "", "", "", ""),
)

# The first one has no campaign, which is what pageviews after a session's first carry as well.
CHANNELS = (
    Channel(40),
    Channel(24, "www.google.com"),
    Channel(5, "www.bing.com"),
    Channel(4, "news.ycombinator.com"),
    Channel(7, "www.google.com", "google", "cpc", "brand", "analytics", "ad-1", "gclid-generated", "1"),
    Channel(3, "www.google.com", "google", "cpc", "video", "", "ad-2", "gclid-generated", "5"),
    Channel(6, "www.facebook.com", "facebook", "social", "launch", fbclid="fbclid-generated"),
    Channel(8, DIRECT, "newsletter", "email", "weekly", utm_content="header"),
    Channel(3, "t.co", "twitter", "social", "launch", utm_content="video"),
)

# In order of how much they are read. Sites differ in how many of these they have.
PAGES = (
    "/", "/pricing", "/docs", "/login", "/blog", "/features", "/about", "/contact", "/signup", "/careers",
    *(f"/docs/chapter-{number}" for number in range(1, 91)),
    *(f"/blog/post-{number}" for number in range(1, 401)),
)  # fmt: skip
