"""Pages compressed by zstd, alone or beside a page that is known.

A frame has neither magic number nor length nor checksum: what is kept of a page
has a check of its own, and a page is 4096 bytes.
"""

from __future__ import annotations

import zstandard

from testbed.store.protocol import PAGE_SIZE

__all__ = ["Zstd", "ZstdError"]

ZstdError = zstandard.ZstdError
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS
_ALONE_LEVEL, _BESIDE_LEVEL = 9, 3


class Zstd:
    """A compressor and a decompressor of pages, used again and again."""

    def __init__(self) -> None:
        """Memory is taken when it is used."""
        self._zip = zstandard.ZstdCompressor(compression_params=_parameters(_ALONE_LEVEL))
        self._unzip = zstandard.ZstdDecompressor(format=_FORMAT)

    def zip(self, page: bytes) -> bytes:
        """The frame of a page."""
        return self._zip.compress(page)

    def unzip(self, frame: bytes) -> bytes:
        """The page of a frame; raises ``ZstdError``."""
        return self._unzip.decompress(frame, max_output_size=PAGE_SIZE)

    def zip_beside(self, known: bytes, page: bytes) -> bytes:
        """The frame of a page for whoever has ``known``, of 4096 bytes, too."""
        compressor = zstandard.ZstdCompressor(
            compression_params=_parameters(_BESIDE_LEVEL, len(known)), dict_data=_raw(known)
        )
        return compressor.compress(page)

    def unzip_beside(self, known: bytes, frame: bytes) -> bytes:
        """The page of such a frame; raises ``ZstdError``."""
        decompressor = zstandard.ZstdDecompressor(dict_data=_raw(known), format=_FORMAT)
        return decompressor.decompress(frame, max_output_size=PAGE_SIZE)


def _raw(known: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(known, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _parameters(level: int, known: int = 0) -> zstandard.ZstdCompressionParameters:
    return zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=PAGE_SIZE,
        dict_size=known,
        format=_FORMAT,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
