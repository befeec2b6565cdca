//! Turns scenarios into trials of the test runner and keeps a list of how they ended.

use crate::harness::Mode;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value as Json, json};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;

/// A scenario takes a second or two; one that hangs is ended.
const WITHIN: Duration = Duration::from_secs(60);

type Body = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

pub struct Scenario {
    mode: Mode,
    name: String,
    body: Body,
}

impl Scenario {
    /// `body` fails by panicking, as the assertion macros do.
    pub fn new<F, Fut>(mode: Mode, name: impl Into<String>, body: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let body: Body = Box::new(|| Box::pin(body()));
        Self { mode, name: name.into(), body }
    }

    pub fn into_trial(self, report: &Report) -> Trial {
        let report = report.clone();
        let Self { mode, name, body } = self;
        Trial::test(format!("{}: {name}", mode.name()), move || {
            let outcome = run(body);
            report.add(mode, &name, &outcome);
            outcome.map_err(Failed::from)
        })
    }
}

/// Runs a body on a runtime of its own, whose end also ends the body's sidecar and provider.
fn run(body: Body) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let in_time = || runtime.block_on(async { timeout(WITHIN, body()).await });
    catch_unwind(AssertUnwindSafe(in_time))
        .map_err(|panic| text_of(&*panic))?
        .map_err(|_| format!("did not end within {WITHIN:?}"))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panicked without a text").to_string()
}

#[derive(Clone, Default)]
pub struct Report(Arc<Mutex<Vec<Json>>>);

impl Report {
    fn add(&self, mode: Mode, scenario: &str, outcome: &Result<(), String>) {
        self.0.lock().unwrap().push(json!({
            "suite": format!("e2e-rust-{}", mode.name()),
            "client": "rust 0.3.0",
            "scenario": scenario,
            "status": if outcome.is_ok() { "passed" } else { "failed" },
            "reason": outcome.as_ref().err().cloned().unwrap_or_default(),
        }));
    }

    /// Writes the list to the file that `CONFORMANCE_JSON` names, if it is set.
    pub fn write_if_asked(&self) {
        if let Ok(path) = std::env::var("CONFORMANCE_JSON") {
            let rows = Json::from(self.0.lock().unwrap().clone());
            std::fs::write(&path, format!("{rows:#}\n"))
                .unwrap_or_else(|error| panic!("cannot write {path}: {error}"));
        }
    }
}
