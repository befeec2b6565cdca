//! A small HTTP/1.1 client over one kept-alive connection. It sends exactly what it is told to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No exchange may take longer: an answer that comes later counts as a hang.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// Content types of answers that may go on for ever.
const STREAMS: [&str; 3] = ["application/connect+", "application/grpc-web", "text/event-stream"];

/// A connection.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    socket: BufReader<TcpStream>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether it goes on without an end; then only its beginning was read.
    pub fn is_stream(&self) -> bool {
        let is_chunked = self.header("transfer-encoding") == Some("chunked");
        is_chunked
            && self
                .header("content-type")
                .is_some_and(|kind| STREAMS.iter().any(|s| kind.starts_with(s)))
    }

    /// Whether the server will close the connection.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, DEADLINE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { address, socket: BufReader::new(socket) })
    }

    /// One exchange; the connection stays open if the server lets it.
    ///
    /// # Errors
    /// If the answer is late, cut off, or not HTTP.
    pub fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let sent = self.send(&[request.as_bytes(), body].concat());
        // A server may answer before it has read everything, and close.
        self.reply(method == "HEAD").map_err(|error| sent.err().unwrap_or(error))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn finish(&mut self) -> io::Result<()> {
        self.socket.get_ref().shutdown(std::net::Shutdown::Write)
    }

    /// Reads a response; to a HEAD request it has no body.
    ///
    /// # Errors
    /// If it is late, cut off, or not HTTP.
    pub fn reply(&mut self, to_head: bool) -> io::Result<Reply> {
        let status_line = self.line()?;
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| fault(format!("not HTTP: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| fault(format!("no header: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if !to_head && !matches!(status, 100..200 | 204 | 304) {
            reply.body = self.body(&reply)?;
        }
        Ok(reply)
    }

    /// Reads until the server closes; what it sent until then.
    ///
    /// # Errors
    /// If it does not close in time, or resets the connection.
    pub fn until_closed(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.socket.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn body(&mut self, reply: &Reply) -> io::Result<Vec<u8>> {
        if let Some(length) = reply.header("content-length") {
            let length = length.parse().map_err(|_| fault(format!("length {length:?}")))?;
            let mut body = vec![0; length];
            self.socket.read_exact(&mut body)?;
            return Ok(body);
        }
        if reply.header("transfer-encoding") != Some("chunked") {
            return self.until_closed();
        }
        let mut body = Vec::new();
        loop {
            let size = self.line()?;
            let size = usize::from_str_radix(&size, 16)
                .map_err(|_| fault(format!("chunk size {size:?}")))?;
            let from = body.len();
            body.resize(from + size, 0);
            self.socket.read_exact(&mut body[from..])?;
            self.line()?;
            if size == 0 || reply.is_stream() {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.socket.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn fault(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// One exchange on a connection of its own.
///
/// # Errors
/// As [`Connection::exchange`].
pub fn once(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Reply> {
    Connection::open(address)?.exchange(method, path, headers, body)
}
