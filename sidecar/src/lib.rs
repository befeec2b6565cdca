//! Outrigger, the process: everything that touches the world.
//!
//! One module per room; ARCHITECTURE.md draws the arrows between them. Plain use goes downward,
//! sideways talk is a channel whose message type belongs to the receiver.

pub mod app;
pub mod cli;
pub mod config;
pub mod evaluation;
pub mod loader;
pub mod publish;
pub mod runtime;
pub mod sources;
pub mod telemetry;
pub mod transport;
