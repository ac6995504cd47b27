//! The language of jobs, grants and evidence, and the wire between nodes and coordinator.

pub mod audit;
pub mod canonical;
pub mod convert;
pub mod decision;
pub mod evidence;
pub mod grant;
pub mod identity;
pub mod invite;
pub mod job;
pub mod names;
pub mod pinned;
pub mod published;
pub mod wire;
