//! What the black-box tests share.

pub mod public_data;
pub mod report;
