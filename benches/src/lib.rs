//! Speed, side by side with the physical limits.
//!
//! A number of nanoseconds says little about a program and much about the machine that ran it. So
//! each bench here also runs the least code that could do the same job, in the same process and in
//! alternation, and reports the ratio, which holds from one machine to the next.
//!
//! Started without `--bench`, which `cargo bench` passes, a bench only checks that it works.

pub mod client;
pub mod clock;
pub mod contenders;
pub mod histogram;
pub mod limits;
pub mod report;
pub mod rounds;
pub mod sidecar;
pub mod workload;
