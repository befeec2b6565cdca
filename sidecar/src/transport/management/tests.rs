//! The management listener over real sockets.

use outrigger_flags::{SourceName, UnixSeconds};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Wire;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::runtime::{Health, SourceStatus};
use crate::transport::testing::{Served, loopback, soon};

async fn served(readiness: &Readiness, shutdown: &Shutdown) -> Served {
    let (_, status) = watch::channel(Status::default());
    served_with(readiness, status, shutdown).await
}

async fn served_with(
    readiness: &Readiness,
    status: watch::Receiver<Status>,
    shutdown: &Shutdown,
) -> Served {
    let (listener, address) = loopback().await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let browsers = BrowserPolicy { cors_origins: vec!["*".to_owned()], ..Default::default() };
    let settings = ManagementSettings { browsers, ..Default::default() };
    let (readiness, shutdown) = (readiness.clone(), shutdown.clone());
    let task = serve(Listener::Tcp(listener), settings, readiness, status, metrics, shutdown);
    Served::new(address, tokio::spawn(task))
}

#[tokio::test]
async fn readiness_is_a_latch_and_health_follows_it() {
    let (readiness, shutdown) = (Readiness::new(), Shutdown::default());
    let served = served(&readiness, &shutdown).await;
    let get = async |path: &str| served.exchange("GET", path, &[], b"").await.status;
    assert_eq!(get("/healthz").await, 200);
    assert_eq!(get("/readyz").await, 412);
    let mut health = HealthClient::new(served.channel().await);
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(request.clone()).await.unwrap().into_inner();
    let mut next = async || soon(watch.message()).await.unwrap().map(|answer| answer.status());
    assert_eq!(next().await, Some(Wire::NotServing));

    readiness.set(true);
    assert_eq!(get("/readyz").await, 200);
    assert_eq!(next().await, Some(Wire::Serving));
    let answer = health.check(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.status(), Wire::Serving);

    shutdown.drain.cancel();
    assert_eq!(next().await, Some(Wire::NotServing));
    assert_eq!(next().await, None, "a watcher does not hold up the drain");
    drop((health, watch));
    served.ended().await;
}

#[tokio::test]
async fn serves_metrics_and_refuses_the_rest() {
    let (readiness, shutdown) = (Readiness::new(), Shutdown::default());
    let served = served(&readiness, &shutdown).await;
    let reply = served.exchange("GET", "/metrics", &[], b"").await;
    assert_eq!(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(reply.text().contains("outrigger_build_info{version="), "{}", reply.text());
    assert_eq!(served.exchange("HEAD", "/metrics", &[], b"").await.bytes.len(), 0);
    let reply = served.exchange("POST", "/readyz", &[], b"").await;
    assert_eq!((reply.status, &*reply.headers["allow"]), (405, "GET, HEAD"));
    let reply = served.exchange("GET", "/", &[], b"").await;
    assert_eq!((reply.status, reply.text()), (404, "there is nothing at this path"));
    assert_eq!(served.exchange("GET", "/metrics/../healthz", &[], b"").await.status, 404);
    let foreign = [("origin", "https://evil.example")];
    let reply = served.exchange("GET", "/metrics", &foreign, b"").await;
    assert_eq!(reply.status, 403, "not even if every page may evaluate");
}

#[tokio::test]
async fn readiness_names_the_state_of_every_source() {
    let readiness = Readiness::new();
    readiness.set(true);
    let (report, status) = watch::channel(Status::default());
    let served = served_with(&readiness, status, &Shutdown::default()).await;
    let reason = "there is no such file".to_owned();
    let source = SourceStatus {
        source: SourceName::new("shop.json"),
        health: Health::Stale { since: UnixSeconds(1), reason },
        flags: 7,
    };
    report.send_replace(Status { sources: vec![source] });
    let reply = served.exchange("GET", "/readyz", &[], b"").await;
    assert_eq!(reply.status, 200, "stale is not unready");
    assert_eq!(reply.text(), "ready\nshop.json: 7 flags, stale: there is no such file\n");
}
