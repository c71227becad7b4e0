"""Compare what the domUs built or read: with each other, and with what did not swap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DigestComparison", "compare_digests", "compare_each", "of_domain"]


@dataclass(frozen=True)
class DigestComparison:
    """The outcome of a comparison."""

    equal: bool | None
    """None where something to compare is missing."""
    objects: int | None
    compared_domains: tuple[str, ...]
    reference: bool
    differing: tuple[str, ...]
    """``domain: object`` for each one that differs from, or lacks, its counterpart."""


def compare_digests(
    domains: Mapping[str, Mapping[str, str] | None],
    reference: Mapping[str, str] | None,
    *,
    own: bool = False,
    partial: bool = False,
) -> DigestComparison:
    """Compare each domain's objects with the reference, or with the first domain's.

    A difference is a difference even where the reference is missing; equality
    needs every domain and the reference.

    Args:
        own: the reference has items of each domain's own: see :func:`compare_each`.
        partial: some objects may be missing; those that exist must be equal.
    """
    if own:
        return compare_each(domains, reference, partial=partial)
    known = {name: digests for name, digests in domains.items() if digests}
    names = tuple(known)
    right = reference or (known[names[0]] if names else None)
    if right is None:
        return DigestComparison(None, None, (), False, ())
    differing = tuple(
        f"{name}: {item}"
        for name, digests in known.items()
        for item in sorted(set(right) & set(digests) if partial else set(right) | set(digests))
        if digests.get(item) != right.get(item)
    )
    complete = bool(reference) and bool(known) and len(known) == len(domains)
    equal = False if differing else (True if complete else None)
    return DigestComparison(equal, len(right), names, bool(reference), differing)


def of_domain(domain: str, item: str) -> str:
    """The name of a domU's item among those of all domUs."""
    return f"{domain}: {item}"


def compare_each(
    domains: Mapping[str, Mapping[str, str] | None],
    reference: Mapping[str, str] | None,
    *,
    partial: bool = False,
) -> DigestComparison:
    """Compare what each domain made or read with what it must, each with its own.

    Args:
        reference: by :func:`of_domain`.
        partial: some items may be missing; those that exist must be equal.
    """
    known = tuple(name for name, digests in domains.items() if digests)
    found = {
        of_domain(name, item): digest
        for name in known
        for item, digest in (domains[name] or {}).items()
    }
    right = reference or {}
    items = sorted(set(right) & set(found) if partial else set(right) | set(found))
    differing = tuple(item for item in items if right and found.get(item) != right.get(item))
    complete = bool(right) and len(known) == len(domains)
    equal = False if differing else (True if complete and known else None)
    return DigestComparison(equal, len(right) or None, known, bool(right), differing)
