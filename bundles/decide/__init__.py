"""Trust decisions as pure functions: bytes and history in, a verdict out."""
