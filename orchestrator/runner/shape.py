"""The machine that a variant of an experiment runs on."""

from __future__ import annotations

from orchestrator.experiment import Domain, Experiment, Variant
from orchestrator.machine import (
    DomainDescription,
    MachineDescription,
    SecondLookDescription,
    StoreDescription,
    SwapDevice,
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
        arena_bytes=experiment.arena_bytes(variant),
        mark_interval_ms=experiment.store.mark_interval_ms,
        max_data_pages=experiment.store.max_data_pages,
        engine=variant.store_engine,
        second_look=_second_look(variant),
    )
    return (
        MachineDescription.load()
        .with_timing(experiment.timing, experiment.seed)
        .with_domains(())
        .with_store(store)
        .with_domains(
            DomainDescription(
                name=domain.name,
                address=address_of(index),
                memory_mib=variant.memory_mib or domain.memory_mib,
                vcpus=domain.vcpus,
                quota_bytes=experiment.quota_bytes(domain, variant),
                group=domain.group if variant.sharing else f"only-{domain.name}",
                swap_mib=domain.swap_mib,
                swap_device=_swap_device(variant),
                randomize_va_space=variant.randomize_va_space,
                kernel=variant.domu_kernel,
                kernel_arguments=_kernel_arguments(domain, variant),
            )
            for index, domain in enumerate(experiment.domains)
            if domain in experiment.domains_of(variant)
        )
    )


def _second_look(variant: Variant) -> SecondLookDescription | None:
    if variant.second_look is None:
        return None
    return SecondLookDescription(**variant.second_look.model_dump())


def _swap_device(variant: Variant) -> SwapDevice:
    if variant.swap == "dom0-zram":
        return SwapDevice(
            kind="zram", compressor=variant.compressor, limit_mib=variant.limit_mib or 0
        )
    if variant.slow_disk is not None:
        return SwapDevice(kind="slow-disk", **variant.slow_disk.model_dump())
    return SwapDevice(kind="none" if variant.swap == "none" else "disk")


def _kernel_arguments(domain: Domain, variant: Variant) -> tuple[str, ...]:
    match variant.swap:
        case "pageshare" if variant.compressor == "lz4":
            ours: tuple[str, ...] = ()  # as it is by default
        case "pageshare":
            ours = (f"xen-pageshare.compressor={variant.compressor}",)
        case "zswap":
            ours = (
                "zswap.enabled=1",
                f"zswap.compressor={variant.compressor}",
                "zswap.zpool=zsmalloc",
            )
        case _:
            # frontswap takes a page before any swap device is asked
            ours = ("xen-pageshare.enabled=0",)
    return (*ours, *domain.kernel_arguments, *variant.kernel_arguments)
