//! Whether flags mean here what they mean to flagd.

mod jsonlogic;
mod schema;
mod testbed;
mod vectors;
