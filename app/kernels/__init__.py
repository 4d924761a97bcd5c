"""What kernels are made of: how they are compiled, protobuf's wire format, keys that order as labels do."""
