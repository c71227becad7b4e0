"""The machine that a variant of an experiment runs on."""

from __future__ import annotations

from orchestrator.experiment import Experiment, Variant
from orchestrator.machine import (
    DomainDescription,
    MachineDescription,
    StoreDescription,
    address_of,
)

__all__ = ["describe_machine"]


def describe_machine(experiment: Experiment, variant: Variant) -> MachineDescription:
    """The machine that one variant of an experiment runs on.

    Raises:
        UserError: the domUs do not fit into the machine.
    """
    store = StoreDescription(
        arena_bytes=experiment.arena_bytes,
        mark_interval_ms=experiment.store.mark_interval_ms,
        max_data_pages=experiment.store.max_data_pages,
    )
    return (
        MachineDescription.load()
        .with_domains(())
        .with_store(store)
        .with_domains(
            DomainDescription(
                name=domain.name,
                address=address_of(index),
                memory_mib=domain.memory_mib,
                quota_bytes=domain.quota_bytes,
                group=domain.group,
                swap_mib=domain.swap_mib,
                randomize_va_space=variant.randomize_va_space,
            )
            for index, domain in enumerate(experiment.domains)
        )
    )
