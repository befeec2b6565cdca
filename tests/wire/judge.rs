//! Whether an answer is one: typed, in the words of a protocol, and no cry for help.

use serde_json::Value as Json;

/// An answer over either version of HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Headers, then trailers; names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// gRPC codes that no malformed request may get: UNKNOWN and UNAVAILABLE make clients try again.
const NEVER: [u32; 2] = [2, 14];
const UNIMPLEMENTED: u32 = 12;
/// OpenFeature's error codes.
const ERROR_CODES: [&str; 7] = [
    "FLAG_NOT_FOUND",
    "GENERAL",
    "INVALID_CONTEXT",
    "PARSE_ERROR",
    "PROVIDER_NOT_READY",
    "TARGETING_KEY_MISSING",
    "TYPE_MISMATCH",
];
/// Connect's codes that these servers use, with their statuses.
const CONNECT_CODES: [(&str, u16); 9] = [
    ("canceled", 408),
    ("data_loss", 500),
    ("deadline_exceeded", 408),
    ("internal", 500),
    ("invalid_argument", 400),
    ("not_found", 404),
    ("permission_denied", 403),
    ("resource_exhausted", 429),
    ("unimplemented", 404),
];
/// Statuses of an answer before the protocol is known.
const PLAIN: [u16; 7] = [400, 403, 404, 405, 413, 415, 505];
/// What the boundary answers after a panic.
const AFTER_A_PANIC: &str = "internal error";

/// What kind of answer to a method it is, or what is wrong with it.
pub fn judge(answer: &Answer, method: &str) -> Result<String, String> {
    let text = String::from_utf8_lossy(&answer.body);
    if text.contains(AFTER_A_PANIC) || answer.header("grpc-message") == Some("internal%20error") {
        return Err("the request panicked".to_owned());
    }
    let has_body = method != "HEAD" && !matches!(answer.status, 204 | 304);
    if !has_body && (PLAIN.contains(&answer.status) || answer.status < 400) {
        return Ok(format!("http {}", answer.status));
    }
    let content_type = answer.header("content-type").unwrap_or_default();
    match content_type.split(';').next().unwrap_or_default() {
        "application/grpc" | "application/grpc+proto" | "application/grpc+json" => {
            grpc(answer, answer.header("grpc-status"))
        }
        "application/grpc-web+proto" | "application/grpc-web+json" => {
            let trailers = last_frame(&answer.body, 0x80);
            let status = trailers.as_deref().and_then(|trailers| {
                trailers.lines().find_map(|line| line.strip_prefix("grpc-status:"))
            });
            grpc(answer, answer.header("grpc-status").or(status))
        }
        "application/connect+proto" | "application/connect+json" => connect_stream(answer),
        "application/json" => json(answer),
        "application/proto" if answer.status == 200 => Ok("proto 200".to_owned()),
        _ if answer.status == 200 => Ok("plain 200".to_owned()),
        _ if PLAIN.contains(&answer.status) && !answer.body.is_empty() => {
            Ok(format!("plain {}", answer.status))
        }
        other => Err(format!("status {} with the content type {other:?}", answer.status)),
    }
}

fn grpc(answer: &Answer, status: Option<&str>) -> Result<String, String> {
    if answer.status != 200 {
        return Err(format!("gRPC under the HTTP status {}", answer.status));
    }
    let Some(status) = status else {
        // A stream that was given up after its first message has no end.
        let is_open = answer.body.first() == Some(&0) && answer.body.len() >= 5;
        return if is_open {
            Ok("grpc stream".to_owned())
        } else {
            Err("no gRPC status".to_owned())
        };
    };
    let code: u32 = status.trim().parse().map_err(|_| format!("the gRPC status {status:?}"))?;
    if code > 16 || NEVER.contains(&code) {
        return Err(format!("the gRPC status {code}"));
    }
    // Of a method that does not exist there is no more to say than that.
    let says = answer.header("grpc-message").is_some_and(|message| !message.is_empty());
    if !says && !matches!(code, 0 | UNIMPLEMENTED) {
        return Err(format!("the gRPC status {code} without a message"));
    }
    Ok(format!("grpc {code}"))
}

fn connect_stream(answer: &Answer) -> Result<String, String> {
    if answer.status != 200 {
        return Err(format!("a Connect stream under the HTTP status {}", answer.status));
    }
    if answer.body.first() == Some(&0) {
        return Ok("connect stream".to_owned());
    }
    let end = last_frame(&answer.body, 0x02).ok_or("a Connect stream without an end")?;
    let end: Json = serde_json::from_str(&end).map_err(|error| format!("{error}: {end}"))?;
    let code = end["error"]["code"].as_str().ok_or_else(|| format!("no code: {end}"))?;
    let is_known = CONNECT_CODES.iter().any(|(known, _)| *known == code);
    if is_known { Ok(format!("connect stream {code}")) } else { Err(format!("the code {code}")) }
}

/// The last frame of a body, if it has these flags, as text.
fn last_frame(body: &[u8], flags: u8) -> Option<String> {
    let mut rest = body;
    while let [kind, a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let frame = after.get(..length)?;
        if *kind == flags {
            return String::from_utf8(frame.to_vec()).ok();
        }
        rest = &after[length..];
    }
    None
}

fn json(answer: &Answer) -> Result<String, String> {
    let status = answer.status;
    let text = String::from_utf8_lossy(&answer.body);
    let body: Json =
        serde_json::from_slice(&answer.body).map_err(|error| format!("{error}: {text}"))?;
    if !body.is_object() {
        return Err(format!("no JSON object: {text}"));
    }
    if status == 200 {
        return Ok("json 200".to_owned());
    }
    if let Some(code) = body["code"].as_str() {
        let own = CONNECT_CODES.iter().find(|(known, _)| *known == code);
        let fits = own.is_some_and(|(_, of_code)| status == *of_code)
            || (code == "unimplemented" && matches!(status, 405 | 415 | 501 | 505));
        let says = body["message"].as_str().is_some_and(|message| !message.is_empty());
        return match fits && says {
            true => Ok(format!("connect {code} {status}")),
            false => Err(format!("status {status}: {text}")),
        };
    }
    if let Some(code) = body["errorCode"].as_str() {
        let says = body["errorDetails"].as_str().is_some_and(|details| !details.is_empty());
        let fits = ERROR_CODES.contains(&code) && (400..500).contains(&status);
        return match fits && says {
            true => Ok(format!("ofrep {code} {status}")),
            false => Err(format!("status {status}: {text}")),
        };
    }
    match body["message"].as_str() {
        Some(message) if !message.is_empty() && PLAIN.contains(&status) => {
            Ok(format!("json {status}"))
        }
        _ => Err(format!("status {status}: {text}")),
    }
}
