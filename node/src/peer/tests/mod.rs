//! Nodes in one process, over real sockets and real TLS on loopback.

mod hostile;
mod lines;
mod town;
