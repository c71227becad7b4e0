"""Payloads to pages and back, by the libraries of the host.

The numbers are those of the interface between domU and store, ``pageshare.h``.
"""

from __future__ import annotations

import lz4.block
import zstandard

from orchestrator.errors import InfrastructureError

__all__ = ["PAGE_SIZE", "decode", "encoded_length"]

PAGE_SIZE = 4096
RAW, LZ4, ZSTD = 0, 1, 3
_LEVEL = 3
"""Of zstd, as the kernel's crypto interface has it."""


def decode(encoding: int, payload: bytes) -> bytes:
    """The page that a payload stands for.

    Raises:
        InfrastructureError: it stands for none, or nobody here can read it.
    """
    try:
        if encoding == RAW:
            page = payload
        elif encoding == LZ4:
            page = lz4.block.decompress(payload, uncompressed_size=PAGE_SIZE)
        elif encoding == ZSTD:
            # the library makes what a frame's header promises, whatever is asked for
            if zstandard.frame_content_size(payload) > PAGE_SIZE:
                raise InfrastructureError("a payload that promises more than a page")
            page = zstandard.ZstdDecompressor().decompress(payload, max_output_size=PAGE_SIZE)
        else:
            raise InfrastructureError(f"a payload in encoding {encoding}, which cannot be read")
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise InfrastructureError(f"a payload that cannot be decompressed: {error}") from error
    if len(page) != PAGE_SIZE:
        raise InfrastructureError(f"a payload of a page of {len(page)} bytes")
    return bytes(page)


def encoded_length(compressor: str, page: bytes) -> int:
    """Bytes that ``page`` takes compressed: as many as it has where that does not help.

    The kernel's compressor may take a few bytes more or less.

    Args:
        compressor: ``lz4`` or ``zstd``.
    """
    if compressor == "zstd":
        length = len(zstandard.ZstdCompressor(level=_LEVEL).compress(page))
    else:
        length = len(lz4.block.compress(page, store_size=False))
    return min(length, PAGE_SIZE)
