"""The service's configuration: a TOML file, checked before anything starts.

In place of ``state_path`` there may be ``arena_path``; the folder is then
``state`` beside it.

::

    [store]
    arena_bytes = 33554432          # payload that the arena may hold
    state_path = "/run/pageshare/state"   # folder on a tmpfs: what a killed store finds again
    mark_interval_ms = 250          # asked of each frontend; 0 for never
    records = "/dev/virtio-ports/pageshare.stats"
    control_socket = "/run/pageshare/control"
    max_data_pages = 64             # most that a frontend may grant
    engine = "native"               # or "python": all requests in Python (the default is native)

    [store.second_look]             # may be left out: then pages stay as they were sent
    pointers = true                 # the keys and what they mean: secondlook/settings.py

    [[domain]]
    name = "domU1"
    quota_bytes = 16777216          # payload that it may be charged
    group = "figure2"               # shares with the domains of this group only
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.store.errors import ConfigError
from testbed.store.protocol import MAX_DATA_PAGES, PAGE_SIZE
from testbed.store.secondlook.settings import Settings

__all__ = ["DomainConfig", "StoreConfig", "load"]

_MAX_ARENA_BYTES = 1 << 33  # offsets of 32 bits, granules of 8 bytes, and room for rounding


@dataclass(frozen=True)
class DomainConfig:
    """One domain that may connect."""

    name: str
    quota_bytes: int
    """Payload bytes, shared or not, that it may be charged."""
    group: str


@dataclass(frozen=True)
class StoreConfig:
    """Everything the service is told."""

    arena_bytes: int
    state_path: Path
    mark_interval_ms: int
    records: Path
    control_socket: Path
    max_data_pages: int
    domains: tuple[DomainConfig, ...]
    engine: str = "native"
    """Who answers requests, see ``engine.py``."""
    second_look: Settings | None = None

    def domain(self, name: str) -> DomainConfig:
        """The domain called ``name``; ``KeyError`` when it is not configured."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)


Check = Callable[[Any], str | None]


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        if type(value) is int and low <= value <= high:
            return None
        return f"an integer from {low} to {high}"

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> str | None:
        if type(value) in (int, float) and low <= value <= high:
            return None
        return f"a number from {low:g} to {high:g}"

    return check


def _flag(value: Any) -> str | None:
    return None if type(value) is bool else "true or false"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a string that is not empty"


_ENGINES = ("native", "python")
_STORE: Mapping[str, Check] = {
    "arena_bytes": _integer(PAGE_SIZE, _MAX_ARENA_BYTES),
    "arena_path": _text,
    "state_path": _text,
    "mark_interval_ms": _integer(0, 3_600_000),
    "records": _text,
    "control_socket": _text,
    "max_data_pages": _integer(1, MAX_DATA_PAGES),
    "engine": lambda value: None if value in _ENGINES else " or ".join(_ENGINES),
}
_SECOND_LOOK: Mapping[str, Check] = {
    "pointers": _flag,
    "near_twins": _flag,
    "recompress": _flag,
    "cold_seconds": _number(0.01, 3600),
    "cpu_share": _number(0.001, 1),
    "pages_per_second": _number(1, 1e6),
}
_MAY_BE_LEFT_OUT = {"arena_path", "state_path", "engine", *_SECOND_LOOK}
_DOMAIN: Mapping[str, Check] = {
    "name": _text,
    "quota_bytes": _integer(PAGE_SIZE, _MAX_ARENA_BYTES),
    "group": _text,
}


def load(path: Path) -> StoreConfig:
    """Reads and checks ``path``; raises ``ConfigError`` with one line."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for key in document:
        if key not in ("store", "domain"):
            raise ConfigError(f"{path}: unknown table '{key}'; allowed: store, domain")
    given = document.get("store")
    look = given.pop("second_look", None) if isinstance(given, dict) else None
    store = _checked(path, "store", given, _STORE)
    if look is not None:
        store["second_look"] = Settings(**_checked(path, "store.second_look", look, _SECOND_LOOK))
    listed = document.get("domain")
    if not isinstance(listed, list) or not listed:
        raise ConfigError(f"{path}: there is no [[domain]]; at least one is needed")
    domains = tuple(
        DomainConfig(**_checked(path, f"domain[{at}]", entry, _DOMAIN))
        for at, entry in enumerate(listed)
    )
    arena_path = store.pop("arena_path", None)
    if "state_path" not in store:
        if arena_path is None:
            raise ConfigError(f"{path}: store.state_path is missing")
        store["state_path"] = Path(arena_path).with_name("state")
    for key in ("state_path", "records", "control_socket"):
        store[key] = Path(store[key])
    config = StoreConfig(domains=domains, **store)
    _check_together(path, config)
    return config


def _checked(path: Path, where: str, given: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: there is no table '{where}'")
    for key, value in given.items():
        if key not in checks:
            raise ConfigError(
                f"{path}: unknown key '{where}.{key}'; allowed: {', '.join(sorted(checks))}"
            )
        if allowed := checks[key](value):
            raise ConfigError(f"{path}: {where}.{key} is {value!r}; allowed: {allowed}")
    if missing := sorted(checks.keys() - given.keys() - _MAY_BE_LEFT_OUT):
        raise ConfigError(f"{path}: {where}.{missing[0]} is missing")
    return dict(given)


def _check_together(path: Path, config: StoreConfig) -> None:
    names = [domain.name for domain in config.domains]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{path}: the domain name {twice[0]!r} is used twice")
    quotas = sum(domain.quota_bytes for domain in config.domains)
    if quotas > config.arena_bytes:
        raise ConfigError(
            f"{path}: store.arena_bytes is {config.arena_bytes}; "
            f"allowed: at least the sum of the quotas, {quotas}"
        )
