//! Clients that ask a sidecar over loopback, and check what it answers.

use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use outrigger_proto::flagd::evaluation::v1::ResolveBooleanRequest;
use outrigger_proto::flagd::evaluation::v1::service_client::ServiceClient;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use crate::sidecar::Sidecar;
use crate::workload::key;

/// What went wrong, on any thread.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `flagd.evaluation.v1` `ResolveBoolean` over gRPC: one connection for all.
    Grpc,
    /// The same over Connect with JSON: a connection for each request in flight.
    Connect,
    /// One flag over OFREP: a connection for each request in flight.
    Ofrep,
    /// Every flag over OFREP: a connection for each request in flight.
    OfrepBulk,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Grpc, Self::Connect, Self::Ofrep, Self::OfrepBulk];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC v1 ResolveBoolean",
            Self::Connect => "Connect JSON ResolveBoolean",
            Self::Ofrep => "OFREP single",
            Self::OfrepBulk => "OFREP bulk of 100",
        }
    }

    /// Connected clients, one for each request in flight.
    ///
    /// # Errors
    /// If the sidecar refuses.
    pub async fn clients(self, sidecar: &Sidecar, count: usize) -> Result<Vec<Client>, Failure> {
        if self == Self::Grpc {
            let endpoint = Endpoint::from_shared(format!("http://{}", sidecar.rpc))?;
            let service = ServiceClient::new(endpoint.connect().await?);
            return Ok((0..count).map(|_| Client::Grpc(service.clone())).collect());
        }
        let (address, path, body) = self.exchange(sidecar);
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(socket)).await?;
            tokio::spawn(connection);
            clients.push(Client::Http { sender, address, path: path.clone(), body: body.clone() });
        }
        Ok(clients)
    }

    /// Where to send what over HTTP.
    fn exchange(self, sidecar: &Sidecar) -> (SocketAddr, String, Bytes) {
        let context = serde_json::Map::from_iter(
            ATTRIBUTES.map(|(name, value)| (name.to_owned(), value.into())),
        );
        let flag = key(0);
        let ofrep = "/ofrep/v1/evaluate/flags";
        let (address, path, body) = match self {
            Self::Grpc | Self::Connect => (
                sidecar.rpc,
                "/flagd.evaluation.v1.Service/ResolveBoolean".to_owned(),
                serde_json::json!({"flagKey": flag, "context": context}),
            ),
            Self::Ofrep => {
                (sidecar.ofrep, format!("{ofrep}/{flag}"), serde_json::json!({"context": context}))
            }
            Self::OfrepBulk => {
                (sidecar.ofrep, ofrep.to_owned(), serde_json::json!({"context": context}))
            }
        };
        (address, path, body.to_string().into())
    }
}

/// The context of every request. It matches the rule of W2, so that the answer is `on`.
const ATTRIBUTES: [(&str, &str); 4] = [
    ("targetingKey", "5d4ff6ca-2f0e-4a39-9e9b-6f9d6a3a7c11"),
    ("country", "BE"),
    ("email", "user1@example.com"),
    ("plan", "gold"),
];

/// One connected client.
#[derive(Debug)]
pub enum Client {
    /// Of a shared connection.
    Grpc(ServiceClient<Channel>),
    /// Of a connection of its own.
    Http {
        /// The connection.
        sender: SendRequest<Full<Bytes>>,
        /// Where it leads.
        address: SocketAddr,
        /// What is asked.
        path: String,
        /// With which body.
        body: Bytes,
    },
}

impl Client {
    /// Asks once.
    ///
    /// # Errors
    /// If the answer is not the right one.
    pub async fn ask(&mut self) -> Result<(), Failure> {
        match self {
            Self::Grpc(service) => {
                let answer = service.resolve_boolean(grpc_request()).await?.into_inner();
                if !answer.value || answer.variant != "on" {
                    return Err(format!("a wrong answer: {answer:?}").into());
                }
            }
            Self::Http { sender, address, path, body } => {
                let request = Request::post(path.as_str())
                    .header("host", address.to_string())
                    .header("content-type", "application/json")
                    .body(Full::new(body.clone()))?;
                let response = sender.send_request(request).await?;
                let status = response.status();
                let answer = response.into_body().collect().await?.to_bytes();
                if status != StatusCode::OK || !is_on(&answer) {
                    return Err(format!("a wrong answer, {status}: {answer:?}").into());
                }
            }
        }
        Ok(())
    }
}

fn grpc_request() -> ResolveBooleanRequest {
    let attribute = |(name, value): (&str, &str)| {
        (name.to_owned(), Value { kind: Some(Kind::StringValue(value.to_owned())) })
    };
    let fields = ATTRIBUTES.map(attribute).into();
    ResolveBooleanRequest { flag_key: key(0), context: Some(Struct { fields }) }
}

/// Whether an answer has the variant `on`, without the cost of reading all of it.
fn is_on(answer: &[u8]) -> bool {
    const ON: &[u8] = b"\"variant\":\"on\"";
    answer.windows(ON.len()).any(|window| window == ON)
}
