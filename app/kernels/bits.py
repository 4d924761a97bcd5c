"""Many bytes at once, wherever they begin: loops over single ones are several times as slow."""

import sys

import numba
import numpy as np

if getattr(numba.config, "DISABLE_JIT", False):

    def load_be64(data, at):
        """The big-endian word in ``data[at : at + 8]``; plain Python, which checks the bounds."""
        word = data[at : at + 8]
        if at < 0 or word.size < 8:
            raise IndexError(f"8 bytes at {at} of {data.size}")
        return np.uint64(int.from_bytes(word.tobytes(), "big"))

    def load_le64(data, at):
        """The little-endian word in ``data[at : at + 8]``."""
        return np.uint64(int.from_bytes(load_be64(data, at).item().to_bytes(8, "big"), "little"))

    def copy_bytes(out, at, data, start, size):
        """Copy ``data[start : start + size]`` to ``out[at : at + size]``, another array."""
        if min(at, start, size) < 0 or at + size > out.size or start + size > data.size:
            raise IndexError(f"{size} bytes from {start} of {data.size} to {at} of {out.size}")
        out[at : at + size] = data[start : start + size]

else:
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    def _address(context, builder, kind, array, at):
        return builder.gep(context.make_array(kind)(context, builder, array).data, [at])

    def _word(context, builder, signature, arguments):
        """The word as it stands in memory."""
        address = _address(context, builder, signature.args[0], *arguments)
        return builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()), align=1)

    @intrinsic
    def load_be64(typing_context, data, at):
        """The big-endian word in ``data[at : at + 8]``; the caller has checked the bounds."""

        def generate(context, builder, signature, arguments):
            word = _word(context, builder, signature, arguments)
            return builder.bswap(word) if sys.byteorder == "little" else word

        return types.uint64(data, types.int64), generate

    @intrinsic
    def load_le64(typing_context, data, at):
        """The little-endian word in ``data[at : at + 8]``; the caller has checked the bounds."""

        def generate(context, builder, signature, arguments):
            word = _word(context, builder, signature, arguments)
            return word if sys.byteorder == "little" else builder.bswap(word)

        return types.uint64(data, types.int64), generate

    @intrinsic
    def copy_bytes(typing_context, out, at, data, start, size):
        """Copy ``data[start : start + size]`` to ``out[at : at + size]``, another array; the caller has
        checked the bounds, and that `size` is not negative."""

        def generate(context, builder, signature, arguments):
            kinds = signature.args
            target = _address(context, builder, kinds[0], arguments[0], arguments[1])
            source = _address(context, builder, kinds[2], arguments[2], arguments[3])
            cgutils.raw_memcpy(builder, target, source, arguments[4], 1)
            return context.get_dummy_value()

        return types.void(out, types.int64, data, types.int64, types.int64), generate
