"""A user agent says what it is, or nothing is said about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.demo.traffic.user_agent import BOT, Client, classify

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
EDGE = Client("Microsoft Edge", "Windows", "Desktop")
INTERNET_EXPLORER = Client("Internet Explorer", "Windows", "Desktop")
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "client"),
    [
        (f"{WINDOWS} Chrome/143.0.0.0 Safari/537.36", Client("Chrome", "Windows", "Desktop")),
        (f"{WINDOWS} Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0", EDGE),
        (f"{MAC} Version/26.1 Safari/605.1.15", Client("Safari", "Mac OS X", "Desktop")),
        (f"{MAC} Version/26.1 Safari/605.1.15 Ddg/26.1", Client("DuckDuckGo", "Mac OS X", "Desktop")),
        (f"{IPHONE} Version/26.1 Mobile/15E148 Safari/604.1", Client("Mobile Safari", "iOS", "Mobile")),
        (f"{IPHONE} CriOS/143.0 Mobile/15E148 Safari/604.1", Client("Chrome iOS", "iOS", "Mobile")),
        (f"{ANDROID} Chrome/141.0.0.0 Mobile Safari/537.36", Client("Chrome", "Android", "Mobile")),
        (f"{ANDROID} Chrome/141.0.0.0 Safari/537.36", Client("Chrome", "Android", "Tablet")),
        ("Mozilla/5.0 (X11; Ubuntu; rv:146.0) Gecko/20100101 Firefox/146.0", Client("Firefox", "", "")),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36", Client("", "Windows", "Desktop")),
        ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", INTERNET_EXPLORER),
        (f"{ANDROID} Chrome/141.0 Mobile Safari/537.36 (compatible; Googlebot/2.1)", BOT),
        ("Go-http-client/1.1", BOT),
        ("curl/7.54.0", BOT),
        ("Mozilla/5.0", Client()),
        ("xfa1", Client()),
        ("", Client()),
    ],
)
def test_a_user_agent_is_named_as_far_as_it_says(user_agent: str, client: Client) -> None:
    assert classify(user_agent) == client


@given(st.text())
def test_any_user_agent_is_read(user_agent: str) -> None:
    assert isinstance(classify(user_agent), Client)
