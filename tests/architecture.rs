//! The rules of the house, held on the source itself: who may know whom, what every file has, what
//! no file has.

#[path = "architecture/crates.rs"]
mod crates;
#[path = "architecture/papers.rs"]
mod papers;
#[path = "architecture/rooms.rs"]
mod rooms;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/style.rs"]
mod style;
