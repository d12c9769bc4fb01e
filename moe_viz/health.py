"""`python -m moe_viz health`: ask a running lab how it is, as a container or a supervisor does. Standard library only: it runs twice a minute."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

ADDRESS = "http://127.0.0.1:8501/healthz"
PATIENCE_S = 8.0


def ask(address: str = ADDRESS) -> dict[str, Any]:
    """The server's own words; `status` is "down" where there are none."""
    opener = build_opener(ProxyHandler({}))  # a proxy of the environment is for the world outside
    try:
        with opener.open(address, timeout=PATIENCE_S) as answer:
            return json.load(answer)
    except HTTPError as error:
        try:
            return json.load(error)
        except ValueError:
            return {"status": "down", "why": f"{address} answers {error.code}"}
    except (OSError, HTTPException) as error:
        return {"status": "down", "why": f"{address} does not answer: {getattr(error, 'reason', error)}"}
    except ValueError:
        return {"status": "down", "why": f"{address} is not a lab"}


def report(address: str = ADDRESS) -> int:
    """Print what the server says as one line of JSON; 0 where it is up (trains or starts), else 1."""
    answer = ask(address)
    print(json.dumps(answer))
    return 0 if answer.get("status") in ("ok", "starting") else 1
