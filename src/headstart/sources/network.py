"""Whether a server answers, asked once and not for long."""

from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PATIENCE = 4  # seconds


def reachable(url: str) -> bool:
    """One quick try, so that a machine behind a firewall hears so at once instead of after minutes of retries."""
    try:
        urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
    except HTTPError:
        return True  # it answered
    except (OSError, HTTPException, ValueError):  # not there, not speaking HTTP, not an address
        return False
    return True
