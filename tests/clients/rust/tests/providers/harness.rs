//! A sidecar process with its flag files, and a client of it through the stock provider.

use open_feature::{
    Client, EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult,
};
use open_feature::{EvaluationDetails, FlagMetadataValue, OpenFeature, StructValue, Value};
use open_feature_flagd::{FlagdOptions, FlagdProvider, ResolverType};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const WITHIN: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// Below Linux's range for outgoing connections, so that a port stays free while its server is down.
const FIRST_PORT: u16 = 20_000;
const PORT_COUNT: u16 = 12_000;

/// How the provider gets its answers.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// A gRPC call to `flagd.evaluation.v1` for each evaluation.
    Rpc,
    /// Whole flag sets from `flagd.sync.v1`, evaluated by the provider.
    InProcess,
    /// An OFREP request for each evaluation.
    Rest,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::InProcess => "in-process",
            Self::Rest => "ofrep",
        }
    }
}

/// The flag document that most scenarios use.
pub fn flag_document() -> Json {
    serde_json::from_str(include_str!("../../../node/flags.json")).unwrap()
}

/// Waits until `condition` gives something and returns that.
pub async fn eventually<T, Fut: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> Fut,
) -> T {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Some(result) = condition().await {
            return result;
        }
        assert!(Instant::now() < deadline, "still waiting after {WITHIN:?}: {what}");
        sleep(POLL_EVERY).await;
    }
}

fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at the same time start at different places.
    let offset = std::process::id().wrapping_mul(97) as u16 % PORT_COUNT;
    loop {
        let port = FIRST_PORT + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % PORT_COUNT;
        if TcpListener::bind(("::", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// Changes a provider's options; also gets the directory of the flag files.
pub type Options = fn(&mut FlagdOptions, &str);

/// What a scenario asks of its sidecar and provider beyond the defaults.
pub struct Setup {
    /// File name and flag document, in order of priority.
    pub documents: Vec<(&'static str, Json)>,
    /// Extra arguments; the text `{directory}` stands for the directory of the files.
    pub arguments: Vec<&'static str>,
    pub options: Options,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            documents: vec![("flags.json", flag_document())],
            arguments: Vec::new(),
            options: |_, _| {},
        }
    }
}

pub struct Session {
    directory: TempDir,
    documents: Vec<(&'static str, Json)>,
    command: Vec<String>,
    management_port: u16,
    process: Child,
    client: Client,
}

impl Session {
    /// Starts a sidecar and connects a provider to it. Both end with the scenario.
    pub async fn open(mode: Mode, setup: Setup) -> Self {
        let directory = tempfile::Builder::new().prefix("outrigger-rust-").tempdir().unwrap();
        let path = directory.path().to_str().unwrap().to_string();
        let [evaluation, management_port, sync, ofrep] = std::array::from_fn(|_| free_port());
        // Unlike flagd, a test listens on loopback alone.
        let mut command = ["start", "--bind", "127.0.0.1"].map(str::to_string).to_vec();
        for (name, document) in &setup.documents {
            std::fs::write(directory.path().join(name), document.to_string()).unwrap();
            command.extend(["-f".to_string(), format!("file:{path}/{name}")]);
        }
        for (name, port) in [
            ("port", evaluation),
            ("management-port", management_port),
            ("sync-port", sync),
            ("ofrep-port", ofrep),
        ] {
            command.extend([format!("--{name}"), port.to_string()]);
        }
        command
            .extend(setup.arguments.iter().map(|argument| argument.replace("{directory}", &path)));
        let mut process = launch(&command, &directory);
        wait_until_ready(&mut process, management_port, &directory).await;

        let (resolver_type, port) = match mode {
            Mode::Rpc => (ResolverType::Rpc, evaluation),
            Mode::InProcess => (ResolverType::InProcess, sync),
            Mode::Rest => (ResolverType::Rest, ofrep),
        };
        let mut options = provider_options(resolver_type, port);
        (setup.options)(&mut options, &path);
        let provider = FlagdProvider::new(options)
            .await
            .unwrap_or_else(|error| panic!("no provider: {error}"));
        let mut api = OpenFeature::default();
        api.set_named_provider("tests", provider).await;
        let client = api.create_named_client("tests");
        Self { directory, documents: setup.documents, command, management_port, process, client }
    }

    /// Lets `change` modify the flags of a file and replaces the file in one step.
    pub fn edit(&mut self, name: &str, change: impl FnOnce(&mut Json)) {
        let (_, document) = self.documents.iter_mut().find(|(each, _)| *each == name).unwrap();
        change(&mut document["flags"]);
        let next: PathBuf = self.directory.path().join(format!(".{name}.next"));
        std::fs::write(&next, document.to_string()).unwrap();
        std::fs::rename(next, self.directory.path().join(name)).unwrap();
    }

    /// Ends the sidecar as a crash would.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Starts the sidecar again on the same ports.
    pub async fn relaunch(&mut self) {
        self.process = launch(&self.command, &self.directory);
        wait_until_ready(&mut self.process, self.management_port, &self.directory).await;
    }

    /// Evaluates a flag by the type of `like`.
    pub async fn ask(
        &self,
        key: &str,
        like: &Value,
        context: &EvaluationContext,
    ) -> Result<Answer, String> {
        let (client, context) = (&self.client, Some(context));
        match like {
            Value::Bool(_) => answer(client.get_bool_details(key, context, None).await),
            Value::Int(_) => answer(client.get_int_details(key, context, None).await),
            Value::Float(_) => answer(client.get_float_details(key, context, None).await),
            Value::String(_) => answer(client.get_string_details(key, context, None).await),
            Value::Struct(_) => {
                answer(client.get_struct_details::<StructValue>(key, context, None).await)
            }
            Value::Array(_) => panic!("this client has no arrays"),
        }
    }

    /// The value of a string flag, or its error code.
    pub async fn text(&self, key: &str) -> Result<String, String> {
        let answer = self.ask(key, &"".into(), &EvaluationContext::default()).await?;
        Ok(answer.value.as_str().unwrap().to_string())
    }

    pub async fn wait_for_text(&self, key: &str, expected: &str) {
        eventually(&format!("{key} to become {expected}"), || async {
            (self.text(key).await.as_deref() == Ok(expected)).then_some(())
        })
        .await;
    }
}

fn launch(command: &[String], directory: &TempDir) -> Child {
    let binary =
        std::env::var("OUTRIGGER_BIN").expect("set OUTRIGGER_BIN to the sidecar binary under test");
    let log = File::create(directory.path().join("sidecar.log")).unwrap();
    Command::new(&binary)
        .args(command)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {binary}: {error}"))
}

async fn wait_until_ready(process: &mut Child, management_port: u16, directory: &TempDir) {
    let url = format!("http://localhost:{management_port}/readyz");
    let deadline = Instant::now() + WITHIN;
    while !reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200) {
        let ended = process.try_wait().unwrap();
        if ended.is_some() || Instant::now() > deadline {
            let log =
                std::fs::read_to_string(directory.path().join("sidecar.log")).unwrap_or_default();
            panic!("the sidecar is not ready ({ended:?}):\n{log}");
        }
        sleep(POLL_EVERY).await;
    }
}

fn provider_options(resolver_type: ResolverType, port: u16) -> FlagdOptions {
    FlagdOptions {
        host: "localhost".to_string(),
        port,
        resolver_type,
        // A busy machine may need longer than the default 500 ms.
        deadline_ms: 10_000,
        retry_backoff_ms: 100,
        retry_backoff_max_ms: 1_000,
        // By default this provider keeps answers for 60 s in every mode.
        cache_settings: None,
        ..FlagdOptions::default()
    }
}

/// A successful evaluation, whatever its type.
#[derive(Debug)]
pub struct Answer {
    pub value: Value,
    pub variant: Option<String>,
    pub reason: String,
    pub metadata: Json,
}

fn answer<T: Into<Value>>(
    result: EvaluationResult<EvaluationDetails<T>>,
) -> Result<Answer, String> {
    let details = result.map_err(error_code)?;
    let metadata =
        details.flag_metadata.values.into_iter().map(|(name, value)| (name, plain(value)));
    Ok(Answer {
        value: details.value.into(),
        variant: details.variant,
        reason: details.reason.map(|reason| reason.to_string()).unwrap_or_default(),
        metadata: json!(metadata.collect::<BTreeMap<_, _>>()),
    })
}

fn plain(value: FlagMetadataValue) -> Json {
    match value {
        FlagMetadataValue::Bool(value) => json!(value),
        FlagMetadataValue::Int(value) => json!(value as f64),
        FlagMetadataValue::Float(value) => json!(value),
        FlagMetadataValue::String(value) => json!(value),
    }
}

/// The code alone: this SDK puts a text of the provider's into the code of a general error.
fn error_code(error: EvaluationError) -> String {
    match error.code {
        EvaluationErrorCode::General(_) => "GENERAL".to_string(),
        code => code.to_string(),
    }
}
