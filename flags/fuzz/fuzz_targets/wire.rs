//! Any bytes as a request on every protocol: never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| outrigger::transport::fuzzing::decode(bytes));
