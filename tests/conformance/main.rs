//! Whether flags mean here what they mean to flagd.

mod jsonlogic;
mod testbed;
mod vectors;
