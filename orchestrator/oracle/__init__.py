"""The ceiling: how much sharing of swapped pages was possible at one moment.

Pure functions over copies of what the machine held: no Xen, no QEMU, no network,
and nothing of the store's own code, whose work this package is to judge.

========== ====================================================================
regions    the store's files: which domain keeps which payload under which slot
encodings  payloads to pages
forms      pages that the store keeps in another form than they were sent in
swap_disk  pages on a domU's swap disk
pointers   a page without where its pointers point to
classes    pages that are equal, and pages that are equal but for their pointers
look       one moment's swapped pages, each with its two classes
resident   the domUs' memory at that moment
ceiling    from classes and lengths to the most that could be saved
========== ====================================================================
"""

from __future__ import annotations

from orchestrator.oracle.ceiling import Ceiling, ceiling
from orchestrator.oracle.look import Look, look_at
from orchestrator.oracle.regions import StorePages, read_regions
from orchestrator.oracle.resident import Resident, look_at_memory

__all__ = [
    "Ceiling",
    "Look",
    "Resident",
    "StorePages",
    "ceiling",
    "look_at",
    "look_at_memory",
    "read_regions",
]
