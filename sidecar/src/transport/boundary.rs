//! The request boundary: what happens to every request on every listener.
//!
//! Count it, refuse foreign pages, answer preflights, let the room serve it, catch a panic, read what
//! is left of the body, and make sure that whatever went wrong reaches the client in the words of its protocol.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use super::body::{self, Body};
use super::browser::BrowserPolicy;
use super::failure::Failure;
use crate::telemetry::metrics::{Limit, Metrics};

/// What one listener serves.
pub(crate) trait Room: Send + Sync + 'static {
    /// Serves a request.
    fn serve(
        &self,
        head: &Parts,
        body: &mut Incoming,
    ) -> impl Future<Output = Result<Response<Body>, Failure>> + Send;

    /// Says why a request is not served, in the words of the protocol that it came by.
    fn refuse(&self, head: &Parts, failure: &Failure) -> Response<Body>;
}

/// A room behind the checks that all rooms share.
#[derive(Debug)]
pub(crate) struct Boundary<R> {
    pub(crate) room: R,
    pub(crate) browsers: BrowserPolicy,
    pub(crate) metrics: Arc<Metrics>,
}

impl<R: Room> Boundary<R> {
    /// Answers a request, whatever happens.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let timer = self.metrics.request(&head.method, head.uri.path());
        let served = self.serve(&head, &mut body).await;
        if !matches!(served, Err(Failure::BodyTooLarge(_) | Failure::BodyTimeout(_))) {
            body::discard(&mut body).await;
        }
        let mut response = match served {
            Ok(response) => response,
            Err(failure) => {
                self.count(&failure);
                self.room.refuse(&head, &failure)
            }
        };
        self.browsers.decorate(&head, response.headers_mut());
        timer.answered(response.status());
        response
    }

    async fn serve(&self, head: &Parts, body: &mut Incoming) -> Result<Response<Body>, Failure> {
        self.browsers.check(head)?;
        if let Some(response) = self.browsers.preflight(head) {
            return Ok(response);
        }
        let served = catch(async { self.room.serve(head, body).await }).await;
        served.unwrap_or_else(|Panicked| {
            self.metrics.panicked();
            tracing::error!(path = head.uri.path(), "a request panicked; it was answered internal");
            Err(Failure::Internal)
        })
    }

    fn count(&self, failure: &Failure) {
        match failure {
            Failure::BodyTooLarge(_) => self.metrics.limited(Limit::BodyBytes),
            Failure::TooManyStreams(_) => self.metrics.limited(Limit::Subscribers),
            Failure::BodyTimeout(_) => self.metrics.limited(Limit::BodyTimeout),
            Failure::Forbidden(_) => self.metrics.limited(Limit::Origin),
            _ => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Panicked;

/// Runs a future and turns its panic into a value. What it shared stays sound: rooms hold
/// immutable snapshots and atomic counters only.
async fn catch<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_value() {
        assert_eq!(catch(async { 1 }).await, Ok(1));
        let after_a_wait = async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "on purpose");
        };
        assert_eq!(catch(after_a_wait).await, Err(Panicked));
    }
}
