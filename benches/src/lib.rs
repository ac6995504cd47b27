//! Benches live in the files beside `src`: kernels alone, protocols over simulated networks, real sockets.
