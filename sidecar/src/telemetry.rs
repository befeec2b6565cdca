//! What the process says about itself: bounded, lossy where it must be, counted always.

pub mod metrics;
