//! The rows of the conformance matrix. Each suite leaves a file in the folder `CONFORMANCE_DIR`;
//! `outrigger-tests`' binary `matrix` turns them into `docs/conformance.md`.

use serde_json::{Value as Json, json};

/// The results of one suite.
#[derive(Debug)]
pub struct Report {
    suite: &'static str,
    rows: Vec<Json>,
}

impl Report {
    /// No results yet.
    pub fn new(suite: &'static str) -> Self {
        Self { suite, rows: Vec::new() }
    }

    /// Notes one result: `Ok` for passed, `Err` with a reason otherwise.
    pub fn note(&mut self, scenario: &str, status: &str, reason: &str) {
        let suite = self.suite;
        self.rows.push(json!({
            "suite": suite, "client": "engine", "scenario": scenario, "status": status,
            "reason": reason,
        }));
    }

    /// How many results have this status.
    pub fn count(&self, status: &str) -> usize {
        self.rows.iter().filter(|row| row["status"] == status).count()
    }

    /// Writes the file, if a folder is asked for.
    pub fn write(&self) {
        println!(
            "{}: {} passed, {} failed, {} skipped",
            self.suite,
            self.count("passed"),
            self.count("failed"),
            self.count("skipped")
        );
        if let Some(folder) = std::env::var_os("CONFORMANCE_DIR") {
            let file = std::path::Path::new(&folder).join(format!("{}.json", self.suite));
            std::fs::write(file, Json::from(self.rows.clone()).to_string()).expect("writable");
        }
    }
}
