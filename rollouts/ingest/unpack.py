"""Bodies as bytes: unpacked under a limit, whatever the sender says their size is."""

from __future__ import annotations

import zlib

from rollouts.errors import Malformed, TooLarge, UnsupportedEncoding

GZIP = 16 + zlib.MAX_WBITS


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as its sender wrote it.

    Raises TooLarge, UnsupportedEncoding (anything but gzip, or more than one layer of it) or
    Malformed.
    """
    check_size(len(body), limit)
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return body
    if named not in ("gzip", "x-gzip"):
        raise UnsupportedEncoding("Send the body plain or with Content-Encoding: gzip.")
    return _gunzip(body, limit)


def check_size(n_bytes: int, limit: int) -> None:
    """Refuse a body that is larger than `limit`."""
    if n_bytes > limit:
        raise TooLarge(f"A body may have {limit:,} bytes. Send smaller batches.")


def _gunzip(packed: bytes, limit: int) -> bytes:
    """One gzip member; a body has no reason to hold several."""
    member = zlib.decompressobj(GZIP)
    try:
        body = member.decompress(packed, limit + 1)
    except zlib.error as wrong:
        raise Malformed(f"The body is no valid gzip: {wrong}.") from None
    check_size(len(body), limit)
    if not member.eof:
        raise Malformed("The body is a gzip file that ends too early.")
    if member.unused_data:
        raise Malformed("The body has something behind its gzip file.")
    return body
