"""A server process announces its port and ends with its parent. The side of the child."""

from __future__ import annotations

import json
import os
import select
import sys
import threading

PATIENCE = 0.5
"""Seconds between two looks at the parent, for the case that a forked sibling keeps our pipe open."""


def announce(port: int) -> None:
    """Tell the parent the port that the system chose: one line of JSON on stdout."""
    print(json.dumps({"port": port}), flush=True)


def end_with_parent() -> None:
    """End this process as soon as the parent closes our stdin, or is gone, however it went."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    # SIGTERM by PR_SET_PDEATHSIG would come when the parent's starting *thread* ends, which is too soon.
    stdin = sys.stdin.fileno()
    while os.getppid() == parent:
        if select.select([stdin], [], [], PATIENCE)[0] and not os.read(stdin, 4096):
            break
    os._exit(0)
