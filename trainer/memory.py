"""Arrays that start alike, vectors in blocks that stay in cache, numbers that do not crawl."""

import numpy as np

BLOCK = 32_768
"""Numbers of a vector worked on at a time where it is passed over several times."""


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array at a multiple of 64 bytes.

    Vectorised kernels may round differently by where an array starts; ours all start alike.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes."""
    array = aligned(shape, dtype)
    array.fill(0)
    return array


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A copy that starts at a multiple of 64 bytes."""
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


def blocks(size: int) -> list[slice]:
    """A vector of this size, in blocks."""
    return [slice(i, min(i + BLOCK, size)) for i in range(0, size, BLOCK)]


def flush_subnormals(vector: np.ndarray) -> None:
    """Set to zero what is about to become subnormal, where arithmetic is many times slower.

    The weights and moments of a dead ReLU decay there and would stay: on the digits, an epoch
    with l2 then took seven times as long.
    """
    limits = np.finfo(vector.dtype)
    for block in blocks(vector.size):
        part = vector[block]
        part[np.absolute(part) < limits.tiny / limits.eps] = 0
