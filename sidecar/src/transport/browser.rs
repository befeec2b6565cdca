//! What a browser may do: origins, hosts and CORS.
//!
//! A page on the web must not reach a sidecar through its visitor's browser. Browsers attach
//! `Origin` and cannot forge it, so a request with a foreign one is refused. Other clients send none.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    HOST, ORIGIN, VARY,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, Version};

use super::body::Body;
use super::failure::Failure;

const METHODS: &str = "HEAD, GET, POST, PUT, PATCH, DELETE";
const EXPOSED: &str = "Accept, Accept-Encoding, Accept-Post, Connect-Accept-Encoding, \
    Connect-Content-Encoding, Content-Encoding, ETag, Grpc-Accept-Encoding, Grpc-Encoding, \
    Grpc-Message, Grpc-Status, Grpc-Status-Details-Bin";

/// Which browsers' requests a listener serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrowserPolicy {
    /// Origins that may call and read answers. `*` is everyone; one `*` within an origin stands for
    /// any text. Empty: no CORS, and only loopback and same-origin pages may call.
    pub cors_origins: Vec<String>,
    /// Hosts that HTTP/1.1 requests may name, without port, against DNS rebinding. Empty: any.
    pub hosts: Vec<String>,
}

impl BrowserPolicy {
    /// Refuses a request that a foreign page may have caused.
    pub(crate) fn check(&self, head: &Parts) -> Result<(), Failure> {
        if is_native_grpc(head) {
            return Ok(());
        }
        if !self.host_is_allowed(head) {
            return Err(Failure::Forbidden(
                "the Host header is no name of this listener: use localhost or its address",
            ));
        }
        let Some(origin) = head.headers.get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default();
        if self.lists(origin) || is_loopback_origin(origin) || is_same_origin(origin, head) {
            return Ok(());
        }
        Err(Failure::Forbidden("this origin is not in the list of CORS origins"))
    }

    /// The answer to a CORS preflight request, if this is one.
    pub(crate) fn preflight(&self, head: &Parts) -> Option<Response<Body>> {
        let method = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let origin = head.headers.get(ORIGIN)?;
        if head.method != Method::OPTIONS || self.cors_origins.is_empty() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static(vary));
        let known = method.to_str().is_ok_and(|m| METHODS.split(", ").any(|known| known == m));
        if let (Some(allowed), true) = (self.allow_origin(origin), known) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
            if let Some(wanted) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
        }
        Some(response)
    }

    /// Lets a listed page read the answer.
    pub(crate) fn decorate(&self, request: &Parts, headers: &mut HeaderMap) {
        if self.cors_origins.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(allowed) = request.headers.get(ORIGIN).and_then(|o| self.allow_origin(o)) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }

    fn allow_origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.cors_origins.iter().any(|listed| listed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        origin.to_str().is_ok_and(|origin| self.lists(origin)).then(|| origin.clone())
    }

    fn lists(&self, origin: &str) -> bool {
        self.cors_origins.iter().any(|listed| matches(listed, origin))
    }

    fn host_is_allowed(&self, head: &Parts) -> bool {
        if self.hosts.is_empty() || head.version == Version::HTTP_2 {
            return true;
        }
        let host = authority(head);
        host.is_some_and(|host| self.hosts.iter().any(|h| h.eq_ignore_ascii_case(host.host())))
    }
}

/// Whether this is gRPC over HTTP/2 without TLS: browsers speak no h2c, and gRPC clients send
/// arbitrary authorities.
fn is_native_grpc(head: &Parts) -> bool {
    head.version == Version::HTTP_2
        && head.headers.get(http::header::CONTENT_TYPE).is_some_and(|content_type| {
            let bytes = content_type.as_bytes();
            bytes.starts_with(b"application/grpc") && !bytes.starts_with(b"application/grpc-web")
        })
}

fn matches(listed: &str, origin: &str) -> bool {
    match listed.split_once('*') {
        None => listed.eq_ignore_ascii_case(origin),
        Some((before, after)) => {
            origin.len() >= before.len() + after.len()
                && origin.starts_with(before)
                && origin.ends_with(after)
        }
    }
}

fn is_loopback_origin(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let Some(host) = uri.host().filter(|_| uri.scheme().is_some()) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback_ip = bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback_ip || host.eq_ignore_ascii_case("localhost")
}

fn is_same_origin(origin: &str, head: &Parts) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    match (uri.authority(), authority(head)) {
        (Some(page), Some(host)) => page == &host,
        _ => false,
    }
}

fn authority(head: &Parts) -> Option<Authority> {
    match head.uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => head.headers.get(HOST)?.to_str().ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri("/x");
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn policy(origins: &[&str]) -> BrowserPolicy {
        BrowserPolicy {
            cors_origins: origins.iter().map(ToString::to_string).collect(),
            hosts: Vec::new(),
        }
    }

    #[test]
    fn refuses_foreign_pages_and_nobody_else() {
        let closed = policy(&[]);
        let with = |origin: &str| head(&[("host", "flags.internal:8016"), ("origin", origin)]);
        assert!(closed.check(&head(&[])).is_ok(), "not a browser");
        for origin in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:80"] {
            assert!(closed.check(&with(origin)).is_ok(), "{origin}");
        }
        assert!(closed.check(&with("https://flags.internal:8016")).is_ok(), "same origin");
        for origin in
            ["https://evil.example", "null", "", "localhost", "http://127.0.0.1.evil.example"]
        {
            assert!(closed.check(&with(origin)).is_err(), "{origin}");
        }
        let open = policy(&["https://*.example.com", "https://a.test"]);
        assert!(open.check(&with("https://a.test")).is_ok());
        assert!(open.check(&with("https://b.example.com")).is_ok());
        assert!(open.check(&with("https://example.com")).is_err());
        assert!(policy(&["*"]).check(&with("null")).is_ok());
    }

    #[test]
    fn exempts_native_grpc_over_http_2_only() {
        let closed = policy(&[]);
        let pairs = [("origin", "https://evil.example"), ("content-type", "application/grpc")];
        let mut grpc = head(&pairs);
        assert!(closed.check(&grpc).is_err(), "gRPC needs HTTP/2");
        grpc.version = Version::HTTP_2;
        assert!(closed.check(&grpc).is_ok());
        let web = HeaderValue::from_static("application/grpc-web+proto");
        grpc.headers.insert("content-type", web);
        assert!(closed.check(&grpc).is_err());
    }

    #[test]
    fn checks_hosts_when_there_is_a_list() {
        let listed = BrowserPolicy { hosts: vec!["flags.internal".to_owned()], ..policy(&[]) };
        assert!(listed.check(&head(&[("host", "Flags.Internal:8016")])).is_ok());
        assert!(listed.check(&head(&[("host", "evil.example")])).is_err());
        assert!(listed.check(&head(&[])).is_err());
    }

    #[test]
    fn answers_preflights_for_listed_origins_only() {
        let listed = policy(&["https://a.test"]);
        let mut ask = head(&[
            ("origin", "https://a.test"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,flagd-selector"),
        ]);
        assert!(listed.preflight(&ask).is_none(), "not OPTIONS");
        ask.method = Method::OPTIONS;
        assert!(policy(&[]).preflight(&ask).is_none(), "CORS is off");
        let answer = listed.preflight(&ask).unwrap();
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.test");
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type,flagd-selector");
        ask.headers.insert(ORIGIN, HeaderValue::from_static("http://localhost"));
        let answer = listed.preflight(&ask).unwrap();
        assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
