//! HTTP/2 by hand: frames as they are on the wire, sent in any order and of any content.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use outrigger_tests::http1::DEADLINE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// Error codes of RST_STREAM and GOAWAY.
pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Identifiers in SETTINGS.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const MAX_HEADER_LIST_SIZE: u16 = 6;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection that has sent its preface.
pub struct Http2(TcpStream);

impl Http2 {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        let mut connection = Self(socket);
        connection.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        connection.send(SETTINGS, 0, 0, &[])?;
        Ok(connection)
    }

    pub fn socket(&self) -> &TcpStream {
        &self.0
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&encode(kind, flags, stream, payload))
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    pub fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        Ok(Frame { kind, flags, stream, payload })
    }

    /// Reads until a frame of this kind comes; the rest is passed over.
    pub fn read_until(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// The value of a setting that the server announced.
    pub fn setting(&mut self, identifier: u16) -> io::Result<Option<u32>> {
        let settings = self.read_until(SETTINGS)?;
        let mut entries = settings.payload.chunks_exact(6);
        let found = entries.find(|entry| entry[..2] == identifier.to_be_bytes());
        Ok(found.map(|entry| u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]])))
    }
}

pub fn encode(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The error code of a RST_STREAM or GOAWAY frame.
pub fn error_code(frame: &Frame) -> u32 {
    let at = if frame.kind == GOAWAY { 4 } else { 0 };
    u32::from_be_bytes(frame.payload[at..at + 4].try_into().expect("four bytes"))
}

/// A header block in HPACK without compression: POST to a path, and these headers.
pub fn post(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    // :method POST and :scheme http from the static table; :path and :authority as literals.
    let mut block = vec![0x83, 0x86, 0x04];
    text(path, &mut block);
    block.push(0x01);
    text("localhost", &mut block);
    for (name, value) in headers {
        block.push(0x00);
        text(name, &mut block);
        text(value, &mut block);
    }
    block
}

fn text(text: &str, block: &mut Vec<u8>) {
    match text.len() {
        length @ 0..127 => block.push(length as u8),
        length => {
            block.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                block.push((rest % 128) as u8 | 0x80);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend(text.as_bytes());
}
