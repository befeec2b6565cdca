//! What the black-box tests share.

pub mod document;
pub mod http1;
pub mod http2;
pub mod public_data;
pub mod random;
pub mod report;
pub mod sidecar;
pub mod wait;
