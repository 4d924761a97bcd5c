"""Products of words that do not fit into one."""

import numba
import numpy as np

if getattr(numba.config, "DISABLE_JIT", False):

    def product_high(left, right):
        """The upper 64 bits of the product; plain Python."""
        return np.uint64(int(left) * int(right) >> 64)

else:
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def product_high(_context, _left, _right):
        """The upper 64 bits of the product."""

        def generate(_context, builder, _signature, arguments):
            wide = ir.IntType(128)
            product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
            return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

        return types.uint64(types.uint64, types.uint64), generate
