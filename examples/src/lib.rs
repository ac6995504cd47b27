//! Stories on real data, one command each: see `examples/*.rs`.
