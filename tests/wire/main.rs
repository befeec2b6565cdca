//! What comes over the wire when a client does everything wrong: limits, refusals, and a campaign
//! of generated requests.

mod answers;
mod campaign;
mod cases;
mod frames;
mod generate;
mod judge;
mod limits;
mod slow;
