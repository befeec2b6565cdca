//! Requests of the campaign: which door, which protocol, which words, right or wrong.

use std::net::SocketAddr;

use outrigger_tests::random::Random;

use crate::generate::{self, METHODS};

const MANAGEMENT_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"];

/// One request.
pub struct Case {
    pub address: SocketAddr,
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]).into_owned();
        let length = self.body.len();
        let Self { method, path, headers, .. } = self;
        write!(f, "{method} {path} {headers:?} {length} bytes {body:?}")
    }
}

/// The listeners under test.
#[derive(Clone, Copy)]
pub struct Targets {
    pub rpc: SocketAddr,
    pub sync: SocketAddr,
    pub ofrep: SocketAddr,
    pub management: SocketAddr,
}

impl Targets {
    /// A request over HTTP/1.1.
    pub fn http1_case(self, random: &mut Random) -> Case {
        match random.below(20) {
            0..8 => self.connect_case(random),
            8..16 => self.ofrep_case(random),
            16..18 => self.grpc_web_case(random),
            18 => self.stray_case(random),
            _ => Case {
                address: self.management,
                method: MANAGEMENT_METHODS[random.below(MANAGEMENT_METHODS.len())],
                path: (*random.pick(&[
                    "/healthz",
                    "/readyz",
                    "/metrics?x=%zz",
                    "/",
                    "/healthz/",
                    "/%00",
                ]))
                .to_owned(),
                headers: headers(random, None),
                body: if random.once_in(2) { Vec::new() } else { generate::json_body(random) },
            },
        }
    }

    fn connect_case(self, random: &mut Random) -> Case {
        const TYPES: [&str; 4] = ["application/connect+json", "text/plain", "", "application/grpc"];
        let content_type = match random.below(20) {
            0 | 19 => *random.pick(&TYPES),
            1 => "application/json; charset=utf-8",
            2..5 => "application/proto",
            _ => "application/json",
        };
        let body = match content_type {
            "application/proto" => generate::message(random),
            "application/connect+json" => {
                let message = generate::json_body(random);
                generate::frame(random, &message)
            }
            _ => generate::json_body(random),
        };
        Case {
            address: self.rpc,
            method: if random.once_in(30) { "GET" } else { "POST" },
            path: rpc_path(random),
            headers: headers(random, Some(content_type)),
            body,
        }
    }

    fn grpc_web_case(self, random: &mut Random) -> Case {
        let message = generate::message(random);
        Case {
            address: self.rpc,
            method: "POST",
            path: rpc_path(random),
            headers: headers(random, Some("application/grpc-web+proto")),
            body: generate::frame(random, &message),
        }
    }

    fn ofrep_case(self, random: &mut Random) -> Case {
        let path = match random.below(10) {
            0 => "/ofrep/v1/evaluate/flags".to_owned(),
            1 => "/ofrep/v1/evaluate/flags/".to_owned(),
            2 => format!("/ofrep/v1/evaluate/{}", generate::segment(random)),
            3 => format!("/ofrep/v1/evaluate/flags/{}/x", generate::segment(random)),
            _ => format!("/ofrep/v1/evaluate/flags/{}", generate::segment(random)),
        };
        Case {
            address: self.ofrep,
            method: if random.once_in(30) { "GET" } else { "POST" },
            path,
            headers: headers(random, Some("application/json")),
            body: generate::json_body(random),
        }
    }

    /// The right request at the wrong door.
    fn stray_case(self, random: &mut Random) -> Case {
        let mut case = match random.below(3) {
            0 => self.connect_case(random),
            1 => self.ofrep_case(random),
            _ => self.grpc_web_case(random),
        };
        case.address = *random.pick(&[self.rpc, self.sync, self.ofrep, self.management]);
        case
    }

    /// A request over HTTP/2.
    pub fn http2_case(self, random: &mut Random) -> Case {
        const TYPES: [&str; 6] = [
            "application/grpc",
            "application/grpc",
            "application/grpc+proto",
            "application/grpc+json",
            "application/grpc+thrift",
            "application/json",
        ];
        let (address, path) = match random.below(10) {
            0..7 => (self.rpc, rpc_path(random)),
            7 | 8 => {
                let method =
                    random.pick(&["SyncFlags", "FetchAllFlags", "GetMetadata", "NoSuchMethod"]);
                (self.sync, format!("/flagd.sync.v1.FlagSyncService/{method}"))
            }
            _ => {
                let method = random.pick(&["Check", "Watch", "NoSuchMethod"]);
                (self.management, format!("/grpc.health.v1.Health/{method}"))
            }
        };
        let content_type = *random.pick(&TYPES);
        let message = match content_type {
            "application/grpc+json" | "application/json" => generate::json_body(random),
            _ => generate::message(random),
        };
        let body = generate::frame(random, &message);
        Case { address, method: "POST", path, headers: headers(random, Some(content_type)), body }
    }
}

fn rpc_path(random: &mut Random) -> String {
    const SERVICES: [&str; 3] = ["flagd.evaluation.v3.Service", "schema.v1.Service", ""];
    let service = match random.below(20) {
        0 => *random.pick(&SERVICES),
        1..10 => "flagd.evaluation.v1.Service",
        _ => "flagd.evaluation.v2.Service",
    };
    let method = if random.once_in(40) {
        generate::segment(random)
    } else {
        (*random.pick(&METHODS)).into()
    };
    format!("/{service}/{method}")
}

fn headers(random: &mut Random, content_type: Option<&str>) -> Vec<(&'static str, String)> {
    const SELECTORS: [&str; 8] = [
        "flagSetId=s1",
        "source=flags.json",
        "no-such",
        "=",
        "x=y",
        "flagSetId=",
        "a=b=c",
        "\u{e9}",
    ];
    const OTHERS: [(&str, &str); 10] = [
        ("content-encoding", "gzip"),
        ("content-encoding", "identity"),
        ("grpc-encoding", "gzip"),
        ("grpc-timeout", "1n"),
        ("grpc-timeout", "garbage"),
        ("connect-protocol-version", "9"),
        ("if-none-match", "*"),
        ("if-none-match", "W/\"x\", garbage"),
        ("accept", "text/html"),
        ("origin", "https://evil.example"),
    ];
    let content_type = content_type.filter(|text| !text.is_empty()).map(str::to_owned);
    let mut headers: Vec<_> = content_type.map(|text| ("content-type", text)).into_iter().collect();
    if random.once_in(6) {
        headers.push(("flagd-selector", (*random.pick(&SELECTORS)).to_owned()));
    }
    if random.once_in(8) {
        let (name, value) = *random.pick(&OTHERS);
        headers.push((name, value.to_owned()));
    }
    headers
}
