"""``python3 -m testbed.store.control --socket S COMMAND``: asks a running store.

Prints the answer, one JSON line. Exit code 0; 1 when the store cannot be
asked or does not know the command (one line on stderr says why).
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from pathlib import Path
from typing import Any

from testbed.store.errors import StoreError

__all__ = ["COMMANDS", "ask", "main"]

COMMANDS = {
    "status": "which domains are connected",
    "stats": "every figure the store keeps",
    "peak": "the MARK with most logical pages, and the table then",
    "reset-peak": "forget the peak",
    "verify": "recompute every tally and read every page",
    "marks": "the last MARK of each domain",
    "drain": "ask every frontend to take its pages back; nothing new is accepted",
}


def ask(path: Path, command: str, timeout: float = 60.0) -> Any:
    """Sends ``command``; returns the decoded answer.

    ``timeout`` (seconds) covers each wait. Raises ``StoreError`` when the
    store cannot be reached or answers an error.
    """
    received = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(command.encode() + b"\n")
            while data := connection.recv(65536):
                received += data
    except OSError as error:
        raise StoreError(f"{path}: the store cannot be asked: {error}") from error
    if not received.endswith(b"\n"):
        raise StoreError(f"{path}: the store's answer ends in the middle")
    answer = json.loads(received)
    if isinstance(answer, dict) and "error" in answer:
        raise StoreError(str(answer["error"]))
    return answer


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    listing = "\n".join(f"  {name:12}{what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python3 -m testbed.store.control",
        description=f"Asks a running store.\n\ncommands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--socket", type=Path, required=True, help="the store's control_socket")
    parser.add_argument("command", choices=COMMANDS)
    options = parser.parse_args(arguments)
    try:
        answer = ask(options.socket, options.command)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(answer, separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
