"""The machine that a variant of an experiment runs on."""

from __future__ import annotations

from orchestrator.experiment import Domain, Experiment, Variant
from orchestrator.machine import (
    DomainDescription,
    MachineDescription,
    StoreDescription,
    address_of,
)

__all__ = ["describe_machine"]


def describe_machine(experiment: Experiment, variant: Variant) -> MachineDescription:
    """The machine that one variant of an experiment runs on.

    A domU has the same address in every variant that it is part of.

    Raises:
        UserError: the domUs do not fit into the machine.
    """
    store = StoreDescription(
        arena_bytes=experiment.arena_bytes,
        mark_interval_ms=experiment.store.mark_interval_ms,
        max_data_pages=experiment.store.max_data_pages,
        engine=variant.store_engine,
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
                vcpus=domain.vcpus,
                quota_bytes=domain.quota_bytes,
                group=domain.group,
                swap_mib=domain.swap_mib,
                randomize_va_space=variant.randomize_va_space,
                kernel=variant.kernel,
                kernel_arguments=_kernel_arguments(domain, variant),
            )
            for index, domain in enumerate(experiment.domains)
            if domain in experiment.domains_of(variant)
        )
    )


def _kernel_arguments(domain: Domain, variant: Variant) -> tuple[str, ...]:
    # frontswap takes a page before any swap device is asked
    without_store = ("xen-pageshare.enabled=0",) if variant.swap != "pageshare" else ()
    return (*without_store, *domain.kernel_arguments, *variant.kernel_arguments)
