"""Who sent a request, and to which site, by what a line has before its timestamp.

The two formats put an address, an ident and a user there, and servers, proxies and syslog put more before these: the
site's name, the list of whom a request was forwarded for, the machine and program that logged it. So the address is
looked for where it belongs, beside ident and user, and then to the left of that. A server that looks names up writes a
name there: it counts as a visitor only where no address can be found and nothing but ident and user follows.

Pure.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

# Address, ident and user: what every format has at least.
FIELDS = 3

# `www.example.org:443`, and what Apache and nginx write for the site that takes whatever no other does.
_SITE_AND_PORT = re.compile(r"(\*|[\w.-]+):[0-9]{1,5}", re.ASCII)
_SITE = re.compile(r"(?=[^.]*[a-z])(?:[\w-]+\.)+[a-z][\w-]*\.?", re.ASCII | re.IGNORECASE)
# As looked up; a slash is in the names of those who divide a network (RFC 2317).
_NAME = re.compile(r"(?=.*[a-z])[\w./-]{1,253}", re.ASCII | re.IGNORECASE)
_NO_SITE = frozenset({"*", "_", "-"})
_WITH_PORT = re.compile(r"\[([0-9a-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"]*)"')


class Visitor(NamedTuple):
    """An address, or a name that a server looked up; ``host`` is the site, empty where the line does not name it."""

    address: str
    host: str = ""


# Most lines of a log begin like one of the thousand before.
@lru_cache(maxsize=4096)
def visitor(before: str, after: str = "") -> Visitor | None:
    """Who a line is of, by the text before its timestamp and after its user agent; None if it does not say.

    An address after the user agent, where proxies are told to log for whom they forward, is asked for where the line
    is of the machine's own network, or of none.
    """
    words = before.split()
    found = {place: address for place, word in enumerate(words[:-2]) if (address := address_of(word))}
    if found:
        # An ident is nearly always a hyphen. A user may be anything, of many words too.
        beside_ident = [place for place in found if words[place + 1] == "-"]
        belongs = len(words) - FIELDS
        place = min(beside_ident) if beside_ident else belongs if belongs in found else max(found)
        first = _first_of_list(words, place)
        place = min(one for one in found if one >= first)
        # Beside the address some have the site in place of an ident (lighttpd's own format).
        address, host = found[place], site(words[first - 1] if first else words[place + 1])
        if _is_public(address):
            return Visitor(address, host)
        return Visitor(_forwarded_for(after, is_public=True) or address, host)
    named = site(words[0]) if words and _SITE_AND_PORT.fullmatch(words[0]) else None
    rest = words if named is None else words[1:]
    if address := _forwarded_for(after):
        return Visitor(address, named or "")
    is_looked_up = len(rest) >= FIELDS and (len(rest) == FIELDS or rest[1] == "-")
    return Visitor(rest[0].lower(), named or "") if is_looked_up and _NAME.fullmatch(rest[0]) else None


def address_of(word: str) -> str:
    """The first address of a word: alone, with a port, in quotes, or in a list; empty if there is none."""
    for one in word.strip('",').split(","):
        with_port = _WITH_PORT.fullmatch(one)
        text = one if with_port is None else str(with_port[with_port.lastindex or 0])
        if _parsed(text) is not None:
            return text
    return ""


def site(word: str) -> str:
    """The site that a word names, without its port; empty if it names none, as ``*:80`` or a syslog tag."""
    with_port = _SITE_AND_PORT.fullmatch(word)
    name = with_port[1] if with_port else word if _SITE.fullmatch(word) else ""
    return "" if name in _NO_SITE else name.lower().rstrip(".")


def _first_of_list(words: list[str], place: int) -> int:
    """Where the list that an address is the end of begins: the first is the visitor, what follows are proxies."""
    while place and words[place - 1].endswith(","):
        place -= 1
    return place


def _forwarded_for(after: str, *, is_public: bool = False) -> str:
    """The first address of a quoted list that is nothing but addresses, as ``X-Forwarded-For`` is."""
    for quoted in _QUOTED.findall(after):
        addresses = [one.strip() for one in str(quoted).split(",")]
        if addresses != [""] and all(_parsed(one) is not None for one in addresses):
            wanted = [one for one in addresses if not is_public or _is_public(one)]
            if wanted:
                return wanted[0]
    return ""


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    if ":" not in text and text.count(".") != 3:  # noqa: PLR2004 - an address has a colon, or four numbers
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_public(text: str) -> bool:
    parsed = _parsed(text)
    return parsed is not None and not (parsed.is_private or parsed.is_loopback or parsed.is_link_local)
