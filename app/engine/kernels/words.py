"""Words of memory as kernels need them: an unaligned load, the high half of a product."""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if getattr(numba.config, "DISABLE_JIT", False):

    def big_endian(data, at):
        """The eight bytes from `at` as one number."""
        return np.uint64(int.from_bytes(data[at : at + 8].tobytes(), "big"))

    def product_high(left, right):
        """The upper 64 bits of the product."""
        return np.uint64(int(left) * int(right) >> 64)

else:

    @intrinsic
    def big_endian(_context, data, at):
        """The eight bytes from `at` as one number; they must lie within `data`."""

        def generate(context, builder, signature, args):
            array = context.make_array(signature.args[0])(context, builder, args[0])
            pointer = builder.gep(array.data, [args[1]])
            pointer = builder.bitcast(pointer, ir.IntType(64).as_pointer())
            return builder.bswap(builder.load(pointer, align=1))

        return types.uint64(data, types.int64), generate

    @intrinsic
    def product_high(_context, _left, _right):
        """The upper 64 bits of the product."""

        def generate(_context, builder, _signature, args):
            wide = ir.IntType(128)
            product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
            return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

        return types.uint64(types.uint64, types.uint64), generate
