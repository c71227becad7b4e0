"""``python3 -m testbed.store --config FILE``: the service in dom0.

Logs to stderr; prints ``ready`` on stdout when it accepts domains. SIGTERM is
an orderly stop. Exit code 2, and one line, when the configuration cannot work.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import signal
import sys
import time
from pathlib import Path

from testbed.store.config import load
from testbed.store.errors import ConfigError, StoreError
from testbed.store.service import Service

__all__ = ["main"]


def _start_log() -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m testbed.store", description="Keeps domUs' compressed swap pages."
    )
    parser.add_argument("--config", type=Path, required=True, help="TOML file, see config.py")
    options = parser.parse_args(arguments)
    _start_log()
    faulthandler.register(signal.SIGUSR1)  # where it is, into the log
    try:
        config = load(options.config)
        from testbed.store.xen.edge import make_edge

        with Service(config, make_edge) as service:
            service.stop_on_signals()
            print("ready", flush=True)
            service.run()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
