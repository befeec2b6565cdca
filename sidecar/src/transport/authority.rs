//! Makes the authority of HTTP/2 requests over a Unix socket one that h2 accepts.
//!
//! Clients built on gRPC's C core (Python, Ruby, PHP, C++) and on Netty name the socket's path as the
//! authority: `%2Frun%2Fflags.sock`. That is no authority, and h2 resets every such request as
//! malformed (hyperium/h2#487). On a Unix socket the name has no meaning, so this filter replaces the
//! characters that may not be there, byte for byte and before h2 reads them.
//!
//! It walks frames and header blocks without decoding them: HPACK's fields can be told apart without
//! its tables, and since no length changes, client and server keep agreeing about their table. A
//! Huffman-coded authority passes untouched; the clients above do not send one. What is not HTTP/2
//! passes untouched too. The filter holds a few counters, whatever a client sends.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: u8 = 9;

const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const FLAG_PADDED: u8 = 0x8;
const FLAG_PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

/// The authority's name, as gRPC's C core writes it.
const AUTHORITY: &[u8] = b":authority";
/// Its place in HPACK's static table, which Netty names instead.
const AUTHORITY_INDEX: usize = 1;

/// Replaces what may not be in an authority, in the bytes that a client sends.
#[derive(Debug)]
pub(super) struct AuthorityFilter(Frames);

/// Where the filter is among the frames.
#[derive(Debug)]
enum Frames {
    /// So many bytes of the preface have matched.
    Preface(usize),
    /// Not HTTP/2.
    Foreign,
    /// Within the nine bytes in front of a payload.
    Head { at: u8, length: usize, kind: u8, flags: u8, fields: Fields },
    /// Within a payload.
    Payload { left: usize, block: Option<Block>, fields: Fields },
}

/// What is left of a header frame's payload before and after its header block.
#[derive(Debug, Clone, Copy)]
struct Block {
    has_pad_length: bool,
    skip: usize,
    padding: usize,
}

/// Where the filter is among the fields of a header block.
#[derive(Debug, Clone, Copy, Default)]
enum Fields {
    #[default]
    Start,
    /// Within an index that takes more than one byte; of these only their end matters, because the
    /// authority's index fits the first byte.
    Index { then: AfterIndex },
    /// In front of a text's length.
    Length { of: Text },
    /// Within a length that takes more than one byte.
    LongLength { of: Text, length: usize, shift: u32, is_coded: bool },
    /// Within a text.
    Bytes { of: Text, left: usize, is_coded: bool },
}

#[derive(Debug, Clone, Copy)]
enum AfterIndex {
    Field,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// A field's name, and how much of it has been `:authority`; `None` if it is another.
    Name(Option<usize>),
    Authority,
    OtherValue,
}

impl Default for AuthorityFilter {
    fn default() -> Self {
        Self(Frames::Preface(0))
    }
}

impl AuthorityFilter {
    /// Passes on the next bytes, changed where they must be.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while let Some((byte, rest)) = bytes.split_first_mut() {
            match &mut self.0 {
                Frames::Foreign => return,
                Frames::Payload { left, block: None, .. } if *left > rest.len() + 1 => {
                    *left -= rest.len() + 1;
                    return;
                }
                _ => {}
            }
            self.0.step(byte);
            bytes = rest;
        }
    }
}

impl Frames {
    fn step(&mut self, byte: &mut u8) {
        match self {
            Self::Foreign => {}
            Self::Preface(matched) => {
                *matched += 1;
                if PREFACE.get(*matched - 1) != Some(byte) {
                    *self = Self::Foreign;
                } else if *matched == PREFACE.len() {
                    *self = Self::head(Fields::Start);
                }
            }
            Self::Head { at, length, kind, flags, fields } => {
                match at {
                    0..=2 => *length = *length << 8 | usize::from(*byte),
                    3 => *kind = *byte,
                    4 => *flags = *byte,
                    _ => {}
                }
                *at += 1;
                if *at == FRAME_HEAD_BYTES {
                    *self = Self::payload(*length, *kind, *flags, *fields);
                }
            }
            Self::Payload { left, block, fields } => {
                *left -= 1;
                if let Some(block) = block {
                    block.step(byte, *left, fields);
                }
                if *left == 0 {
                    *self = Self::head(*fields);
                }
            }
        }
    }

    fn head(fields: Fields) -> Self {
        Self::Head { at: 0, length: 0, kind: 0, flags: 0, fields }
    }

    fn payload(length: usize, kind: u8, flags: u8, fields: Fields) -> Self {
        let block = match kind {
            HEADERS => Some(Block {
                has_pad_length: flags & FLAG_PADDED != 0,
                skip: if flags & FLAG_PRIORITY != 0 { PRIORITY_BYTES } else { 0 },
                padding: 0,
            }),
            CONTINUATION => Some(Block { has_pad_length: false, skip: 0, padding: 0 }),
            _ => None,
        };
        // A header block begins with its first frame and may go on in the next ones.
        let fields = if kind == CONTINUATION { fields } else { Fields::Start };
        match length {
            0 => Self::head(fields),
            left => Self::Payload { left, block, fields },
        }
    }
}

impl Block {
    fn step(&mut self, byte: &mut u8, left: usize, fields: &mut Fields) {
        if self.has_pad_length {
            self.has_pad_length = false;
            self.padding = usize::from(*byte);
        } else if self.skip > 0 {
            self.skip -= 1;
        } else if left >= self.padding {
            *fields = fields.step(byte);
        }
    }
}

impl Fields {
    fn step(self, byte: &mut u8) -> Self {
        match self {
            Self::Start => Self::first(*byte),
            Self::Index { .. } if *byte & 0x80 != 0 => self,
            Self::Index { then: AfterIndex::Field } => Self::Start,
            Self::Index { then: AfterIndex::Value } => Self::Length { of: Text::OtherValue },
            Self::Length { of } => match usize::from(*byte & 0x7f) {
                0x7f => {
                    Self::LongLength { of, length: 0x7f, shift: 0, is_coded: *byte & 0x80 != 0 }
                }
                length => Self::text(of, length, *byte & 0x80 != 0),
            },
            Self::LongLength { of, length, shift, is_coded } => {
                let more = usize::from(*byte & 0x7f).checked_shl(shift).unwrap_or(usize::MAX);
                let length = length.saturating_add(more);
                match *byte & 0x80 {
                    0 => Self::text(of, length, is_coded),
                    _ => Self::LongLength { of, length, shift: shift.saturating_add(7), is_coded },
                }
            }
            Self::Bytes { of, left, is_coded } => {
                if of == Text::Authority && !is_coded && !is_harmless(*byte) {
                    *byte = b'-';
                }
                Self::text(of.followed_by(*byte), left - 1, is_coded)
            }
        }
    }

    /// The first byte of a field tells its kind and, if small, its index.
    fn first(byte: u8) -> Self {
        let (prefix_max, is_literal) = match byte {
            0x80.. => (0x7f, false),
            0x40.. => (0x3f, true),
            0x20.. => (0x1f, false),
            _ => (0x0f, true),
        };
        match (usize::from(byte & prefix_max), is_literal) {
            (index, _) if index == usize::from(prefix_max) => {
                let then = if is_literal { AfterIndex::Value } else { AfterIndex::Field };
                Self::Index { then }
            }
            (_, false) => Self::Start,
            (0, true) => Self::Length { of: Text::Name(Some(0)) },
            (AUTHORITY_INDEX, true) => Self::Length { of: Text::Authority },
            (_, true) => Self::Length { of: Text::OtherValue },
        }
    }

    /// Within a text of this length, or behind it.
    fn text(of: Text, left: usize, is_coded: bool) -> Self {
        match (left, of) {
            (0, Text::Name(Some(matched))) if matched == AUTHORITY.len() => {
                Self::Length { of: Text::Authority }
            }
            (0, Text::Name(_)) => Self::Length { of: Text::OtherValue },
            (0, _) => Self::Start,
            _ => Self::Bytes { of, left, is_coded },
        }
    }
}

impl Text {
    /// This text with one more byte.
    fn followed_by(self, byte: u8) -> Self {
        match self {
            Self::Name(matched) => {
                let next = matched.filter(|matched| AUTHORITY.get(*matched) == Some(&byte));
                Self::Name(next.map(|matched| matched + 1))
            }
            other => other,
        }
    }
}

/// Whether a byte may stand anywhere in a host name.
const fn is_harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn text(value: &str) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        [&[length], value.as_bytes()].concat()
    }

    /// A request's header block: `GET`, `http`, `/`, the authority under its index and under its
    /// name, and headers with names of their own.
    fn block(authority: &str) -> Vec<u8> {
        let named = |name: &str, value: &str| [vec![0x40], text(name), text(value)].concat();
        [
            vec![0x82, 0x86, 0x84, 0x41],
            text(authority),
            named(":authority", authority),
            named(":authorit", "/keep%this"),
            named(":authority2", "/keep%this"),
            vec![0xbe],
        ]
        .concat()
    }

    fn pass(chunks: &[&[u8]]) -> Vec<u8> {
        let mut filter = AuthorityFilter::default();
        let mut passed = Vec::new();
        for chunk in chunks {
            let mut chunk = chunk.to_vec();
            filter.pass(&mut chunk);
            passed.extend(chunk);
        }
        passed
    }

    fn stream(authority: &str) -> Vec<u8> {
        let block = block(authority);
        let (front, back) = block.split_at(9);
        let padded = [&[3, 0, 0, 0, 0, 16][..], &block, &[0, 0, 0]].concat();
        [
            PREFACE.to_vec(),
            frame(4, 0, &[]),
            frame(HEADERS, 4, &block),
            frame(0, 1, b"A/%"),
            frame(HEADERS, 4 | FLAG_PADDED | FLAG_PRIORITY, &padded),
            frame(HEADERS, 0, front),
            frame(CONTINUATION, 4, back),
        ]
        .concat()
    }

    #[test]
    fn a_path_becomes_a_name_and_nothing_else_changes() {
        let passed = pass(&[&stream("%2Frun%2Fx.sock")]);
        assert_eq!(passed, stream("-2Frun-2Fx.sock"));
        assert_eq!(pass(&[&stream("/run/x_y.sock")]), stream("-run-x-y.sock"));
        assert_eq!(pass(&[&stream("localhost")]), stream("localhost"));
    }

    #[test]
    fn long_texts_and_indexes_are_counted_through() {
        let path = format!("/{}", "deep/".repeat(60));
        let beyond = path.len() - 0x7f;
        let high = u8::try_from(beyond >> 7).unwrap();
        let length = [0x7f, u8::try_from(beyond & 0x7f).unwrap() | 0x80, high];
        // An indexed field and a literal one, both with indexes beyond the first byte.
        let far = [vec![0xff, 0x81, 0x00, 0x7f, 0x00], text("/x"), vec![0x01]].concat();
        let stream = |authority: &str| {
            let block = [&far, &length[..], authority.as_bytes()].concat();
            [PREFACE, &frame(HEADERS, 4, &block)].concat()
        };
        assert_eq!(pass(&[&stream(&path)]), stream(&path.replace('/', "-")));
    }

    #[test]
    fn what_is_huffman_coded_or_not_http_2_passes() {
        let coded = frame(HEADERS, 4, &[0x41, 0x83, b'/', b'/', b'/']);
        let bytes = [PREFACE, &coded].concat();
        assert_eq!(pass(&[&bytes]), bytes);
        let http_1 = b"GET / HTTP/1.1\r\nhost: /run/x\r\n\r\n";
        assert_eq!(pass(&[http_1]), http_1);
        assert_eq!(pass(&[b"PRI * HTTP/1", http_1]), [b"PRI * HTTP/1", &http_1[..]].concat());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_arrive(cuts in prop::collection::vec(0..500_usize, 0..12)) {
            let bytes = stream("%2Frun%2Fx.sock");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(pass(&chunks), stream("-2Frun-2Fx.sock"));
        }

        #[test]
        fn any_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let passed = pass(&[PREFACE, &bytes]);
            prop_assert_eq!(passed.len(), PREFACE.len() + bytes.len());
        }
    }
}
