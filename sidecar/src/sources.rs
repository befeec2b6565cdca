//! Where flag documents come from. A source hands on bytes and never looks into them.
//!
//! Each configured source is one task. It tells the loader what it found through
//! [`SourceUpdate`](crate::loader::SourceUpdate)s on a bounded queue, and only when something
//! changed. What it cannot read it reports as absent, with the reason: absence is news, never an
//! empty document.

pub mod file;

pub use file::FileSource;
