//! Finding tokens of a JSON text again, to give problems their positions.
//!
//! The text has been read without complaint before, so this scan may be simple: it counts names and
//! values in reading order, exactly as [`crate::tape`] numbers them.

/// A scan that finds tokens of ascending number in one pass.
pub(crate) struct TokenScan<'t> {
    bytes: &'t [u8],
    /// Arrays and objects nested at this depth or deeper count as one token.
    depth_max: usize,
    depth: usize,
    at: usize,
    seen: usize,
}

impl<'t> TokenScan<'t> {
    pub(crate) const fn new(text: &'t str, depth_max: usize) -> Self {
        Self { bytes: text.as_bytes(), depth_max, depth: 0, at: 0, seen: 0 }
    }

    /// The byte offset of token `wanted`, counted from 0. Tokens have to be asked for in ascending
    /// order; the same one may be asked for again.
    pub(crate) fn offset_of(&mut self, wanted: usize) -> Option<usize> {
        while let Some(&byte) = self.bytes.get(self.at) {
            let is_token =
                !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b']' | b'}');
            let counts = is_token && self.depth <= self.depth_max;
            if counts && self.seen == wanted {
                return Some(self.at);
            }
            self.seen += usize::from(counts);
            self.at = match byte {
                b'[' | b'{' => {
                    self.depth += 1;
                    self.at + 1
                }
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.at + 1
                }
                b'"' => end_of_string(self.bytes, self.at),
                _ if is_token => end_of_word(self.bytes, self.at),
                _ => self.at + 1,
            };
        }
        None
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let is_end = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}');
    start + rest.iter().position(is_end).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::TokenScan;

    #[test]
    fn counts_names_and_values_in_reading_order() {
        let text = r#"{ "a" : [1, true, "x\"]"], "b":{"c":null} }"#;
        let starts = ["{", "\"a\"", "[", "1", "true", "\"x", "\"b\"", "{\"c", "\"c\"", "null"];
        let mut scan = TokenScan::new(text, 64);
        for (token, start) in starts.iter().enumerate() {
            for _ in 0..2 {
                let offset = scan.offset_of(token).unwrap();
                let found = text.get(offset..).unwrap();
                assert!(found.starts_with(start), "token {token}: {found}");
            }
        }
        assert_eq!(scan.offset_of(starts.len()), None);
    }

    #[test]
    fn what_is_too_deep_counts_once() {
        let text = "[[[1,2],3],4]";
        let mut scan = TokenScan::new(text, 1);
        let mut token = |number| scan.offset_of(number).and_then(|at| text.get(at..=at));
        assert_eq!([token(0), token(1), token(2)], [Some("["), Some("["), Some("4")]);
    }
}
