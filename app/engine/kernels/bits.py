"""Reading 64 bits at once, wherever they begin."""

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

else:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def load_be64(typing_context, data, at):
        """The big-endian word in ``data[at : at + 8]``; the caller has checked the bounds."""

        def generate(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            address = builder.gep(array.data, [arguments[1]])
            address = builder.bitcast(address, ir.IntType(64).as_pointer())
            word = builder.load(address, align=1)
            return builder.bswap(word) if sys.byteorder == "little" else word

        return types.uint64(data, types.int64), generate
