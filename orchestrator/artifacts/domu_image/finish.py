"""What every builder does at last: the checkout's key, and an ext4 file system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.artifacts import assembly, ext4, ext4_exact
from orchestrator.artifacts.assembly import authorize
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.ext4_exact import make_exact_ext4
from orchestrator.artifacts.keys import KeyPair
from orchestrator.artifacts.packages import ImagePackage, write_packages

__all__ = ["IMAGE", "finish_image", "finish_inputs"]

IMAGE = "domu.ext4"


def finish_inputs(key: KeyPair, builder: str) -> dict[str, str | Path]:
    """What ``finish_image`` adds to the inputs of an image."""
    return {
        "key": key.digest,
        "builder": builder,
        "code assembly": Path(assembly.__file__),
        "code ext4": Path(ext4.__file__),
        "code ext4_exact": Path(ext4_exact.__file__),
        "code finish": Path(__file__),
    }


def finish_image(
    context: BuildContext,
    root: Path,
    key: KeyPair,
    packages: Sequence[ImagePackage],
    folder: Path,
) -> None:
    """Write the image of ``root`` to ``folder``; the same contents give the same bytes."""
    authorize(root, key.public)
    root.chmod(0o755)
    write_packages(folder, packages)
    make_exact_ext4(
        folder / IMAGE,
        root,
        label="domu",
        log=context.log,
        deadline=context.deadline.within(120),
    )
