//! What a client can make us decode, for the fuzzer. Built only with `--cfg fuzzing`.

use bytes::Bytes;

use super::authority::AuthorityFilter;
use super::{ofrep, rpc};

/// Decodes bytes as every kind of request; there is nothing to see but panics.
pub fn decode(bytes: &[u8]) {
    let message = Bytes::copy_from_slice(bytes);
    rpc::read_as_anything(&message);
    let _ = ofrep::context(&message);
    let mut stream = bytes.to_vec();
    AuthorityFilter::default().pass(&mut stream);
}
