//! Benches live in the files beside `src`: kernels alone, and protocols over simulated networks. Real
//! processes and sockets are measured by `banyan bench`.
