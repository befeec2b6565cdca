//! The failure catalogue, a test for each row, named by the row's id.
//!
//! A: flag documents and where they come from. B: evaluation. What a document means is tried on the
//! engine, at every byte; what a file does is tried on the real process with a real directory.

mod configmap;
mod documents;
mod engine;
mod evaluation;
mod files;
mod isolation;
mod large;
mod memory;
mod numbers;
mod removal;
mod yaml;
