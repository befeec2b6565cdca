//! Both command lines, the environment and the file, and every problem at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::*;
use crate::sources::file::Names;

fn given(arguments: &[(&str, &str)], environment: &[(&str, &str)]) -> Given {
    let mut given = Given::default();
    for (name, value) in arguments {
        given.arguments.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    given.environment = environment.iter().map(variable).collect();
    given
}

fn no_file(_: &Path) -> io::Result<String> {
    Err(io::ErrorKind::NotFound.into())
}

fn started(arguments: &[(&str, &str)], environment: &[(&str, &str)]) -> Config {
    let mut arguments = arguments.to_vec();
    arguments.push(("uri", "file:f.json"));
    start(&given(&arguments, environment), no_file).unwrap()
}

fn refused(errors: Result<Config, ConfigErrors>) -> Vec<String> {
    errors.unwrap_err().problems().iter().map(Problem::to_string).collect()
}

fn port(endpoint: &Endpoint) -> u16 {
    match endpoint {
        Endpoint::Tcp { port, .. } => *port,
        Endpoint::Unix { .. } => panic!("{endpoint:?}"),
    }
}

fn names(config: &Config) -> Vec<&str> {
    config.sources.iter().map(|source| source.name.as_str()).collect()
}

#[test]
fn serve_without_options_is_flagd_s_ports_on_loopback() {
    let config = serve(&Given::default()).unwrap();
    let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(config.rpc, Endpoint::Tcp { address, port: 8013, option: "port" });
    let ports = [&config.management, &config.sync, &config.ofrep].map(port);
    assert_eq!(ports, [8014, 8015, 8016]);
    assert_eq!(names(&config), ["flags"]);
    assert_eq!(config.sources[0].names, Names::Flagd);
    assert_eq!(config.generation, Generation::V2);
    assert_eq!(config.state_directory, None);
    assert!(config.warnings.is_empty());
}

#[test]
fn several_paths_fit_into_one_variable() {
    let config = serve(&given(&[], &[("OUTRIGGER_FLAGS", "a.json, team/")])).unwrap();
    assert_eq!(names(&config), ["a.json", "team/"]);
    let config = serve(&given(&[("flags", "a,b.json"), ("flags", "c.json")], &[])).unwrap();
    assert_eq!(names(&config), ["a,b.json", "c.json"]);
}

#[test]
fn start_without_a_bind_address_is_every_interface() {
    let config = started(&[], &[]);
    assert_eq!(config.rpc, Endpoint::Tcp { address: None, port: 8013, option: "port" });
    assert_eq!(names(&config), ["f.json"]);
    let bound = started(&[("bind", "::1")], &[]);
    assert!(matches!(bound.ofrep, Endpoint::Tcp { address: Some(IpAddr::V6(_)), .. }));
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let given = given(
        &[("port", "eighty"), ("fractional", "v1"), ("context-value", "x"), ("flags", "s3://b/o")],
        &[("OUTRIGGER_LOG_FORMAT", "xml"), ("OUTRIGGER_DEBUG", "perhaps")],
    );
    let problems = refused(serve(&given));
    let places: Vec<&str> = problems.iter().map(|p| p.split(':').next().unwrap()).collect();
    let expected = [
        "--flags",
        "--port",
        "--fractional",
        "OUTRIGGER_LOG_FORMAT",
        "OUTRIGGER_DEBUG",
        "--context-value",
    ];
    assert_eq!(places, expected, "{problems:#?}");
}

#[test]
fn serve_never_listens_to_other_hosts() {
    for address in ["0.0.0.0", "::", "192.168.1.7"] {
        let problems = refused(serve(&given(&[("bind", address)], &[])));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("neither TLS nor authentication"), "{problems:?}");
    }
    for address in ["127.0.0.1", "::1", "[::1]", "localhost", "127.8.0.1"] {
        serve(&given(&[("bind", address)], &[])).unwrap();
    }
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file_beats_the_default() {
    let file =
        |_: &Path| Ok("port: 3\nsync-port: 3\nofrep-port: 3\nuri: [file:f.json]\n".to_owned());
    let arguments = [("config", "c.yaml"), ("port", "1")];
    let environment = [("FLAGD_PORT", "2"), ("FLAGD_SYNC_PORT", "2")];
    let config = start(&given(&arguments, &environment), file).unwrap();
    let ports = [&config.rpc, &config.sync, &config.ofrep, &config.management].map(port);
    assert_eq!(ports, [1, 2, 3, 8014]);
}

#[test]
fn the_last_of_several_values_counts() {
    assert_eq!(port(&started(&[("port", "1"), ("port", "2")], &[]).rpc), 2);
}

#[test]
fn variables_of_clients_and_of_kubernetes_do_no_harm() {
    let environment = [
        ("FLAGD_RESOLVER", "rpc"),
        ("FLAGD_EVALUATOR", "json"),
        ("FLAGD_HOST", "localhost"),
        ("FLAGD_SOCKET_PATH", ""),
        ("FLAGD_PORT", "tcp://10.0.0.1:8013"),
    ];
    let config = started(&[], &environment);
    assert_eq!(port(&config.rpc), 8013);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].starts_with("FLAGD_PORT was ignored: Kubernetes"));
}

#[test]
fn what_the_operator_of_openfeature_passes_is_accepted() {
    let config = start(
        &given(
            &[
                ("management-port", "8014"),
                (
                    "sources",
                    r#"[{"uri":"/etc/flagd/a/a.flagd.json","provider":"file","interval":5}]"#,
                ),
                ("sync-provider-args", "k=v"),
                ("debug", "true"),
                ("metrics-exporter", "otel"),
                ("otel-collector-uri", "collector:4317"),
                ("context-value", "region=eu"),
                ("context-from-header", "X-Tenant=tenant"),
                ("cors-origin", "*"),
            ],
            &[("FLAGD_LOG_FORMAT", "json")],
        ),
        no_file,
    )
    .unwrap();
    assert_eq!(names(&config), ["/etc/flagd/a/a.flagd.json"]);
    assert_eq!(config.log, Log { format: LogFormat::Json, debug: true });
    assert_eq!(config.context_values, [("region".to_owned(), "eu".to_owned())]);
    assert_eq!(config.context_headers, [("X-Tenant".to_owned(), "tenant".to_owned())]);
    assert_eq!(config.cors_origins, ["*"]);
    let named: Vec<&str> =
        config.warnings.iter().map(|warning| warning.split(' ').next().unwrap()).collect();
    let expected = ["--metrics-exporter", "--otel-collector-uri", "--sync-provider-args"];
    assert_eq!(named, expected, "one line for each option that does nothing");
}

#[test]
fn sources_follow_uris_and_lists_hold_commas() {
    let config = start(
        &given(
            &[
                (
                    "sources",
                    r#"[{"uri":"c","provider":"fsnotify"},{"uri":"a","provider":"fileinfo"}]"#,
                ),
                ("uri", "file:a,file:b"),
            ],
            &[],
        ),
        no_file,
    )
    .unwrap();
    assert_eq!(names(&config), ["b", "c", "a"], "a source named twice counts at its later place");
    assert!(config.warnings[0].contains("named twice"));
}

#[test]
fn sources_that_this_build_cannot_read_are_named_without_their_secrets() {
    let uris = "http://user:secret@h/f,grpc://h:1,core.openfeature.dev/ns/n,gs://b/o,azblob://c/o,s3://b/o,x";
    let sources = r#"[{"uri":"secret","provider":"kubernetes"},{"uri":"secret","provider":"smb"}]"#;
    let problems = refused(start(&given(&[("uri", uris), ("sources", sources)], &[]), no_file));
    assert_eq!(problems.len(), 9, "{problems:#?}");
    for (problem, kind) in
        problems.iter().zip(["http", "grpc", "kubernetes", "gcs", "azblob", "s3"])
    {
        assert!(problem.contains(&format!("cannot read {kind} sources yet")), "{problem}");
    }
    assert!(problems.iter().all(|problem| !problem.contains("secret")), "{problems:#?}");
    let none = refused(start(&Given::default(), no_file));
    assert!(none[0].contains("no source of flags"), "{none:?}");
}

#[test]
fn tls_is_refused_rather_than_left_out() {
    let arguments = [("uri", "file:f"), ("server-cert-path", "c"), ("server-key-path", "k")];
    let problems = refused(start(&given(&arguments, &[]), no_file));
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("--server-cert-path: TLS is not served yet"), "{problems:?}");
}

#[test]
fn sockets_replace_ports() {
    let config = started(&[("socket-path", "/run/a"), ("sync-socket-path", "/run/b")], &[]);
    assert_eq!(config.rpc, Endpoint::Unix { path: "/run/a".into(), option: "socket-path" });
    assert_eq!(config.sync, Endpoint::Unix { path: "/run/b".into(), option: "sync-socket-path" });
}

#[test]
fn pairs_are_read_as_flagd_reads_them() {
    let pairs = |text| started(&[("context-value", text)], &[]).context_values;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(pairs("a=1,b=2"), [pair("a", "1"), pair("b", "2")]);
    assert_eq!(pairs("a=x,y"), [pair("a", "x,y")]);
    let json = started(&[], &[("FLAGD_CONTEXT_VALUE", r#"{"a":"1"}"#)]).context_values;
    assert_eq!(json, [pair("a", "1")]);
}

#[test]
fn the_other_settings_of_flagd_have_their_effect() {
    let config = started(
        &[
            ("max-request-body", "10"),
            ("max-request-header", "20"),
            ("stream-deadline", "1m"),
            ("disable-sync-metadata", "true"),
        ],
        &[],
    );
    let expected = RequestSizes { body_bytes: Some(10), header_bytes: Some(20) };
    assert_eq!(config.request, expected);
    assert_eq!(config.stream_deadline, Some(Duration::from_secs(60)));
    assert!(!config.sync_metadata);
    assert_eq!(started(&[("stream-deadline", "0")], &[]).stream_deadline, None);
}

#[test]
fn a_configuration_file_must_be_readable_if_it_is_named() {
    let arguments = [("uri", "file:f"), ("config", "c.yaml")];
    assert!(refused(start(&given(&arguments, &[]), no_file))[0].starts_with("--config: c.yaml: "));
    let broken = |_: &Path| Ok("[".to_owned());
    assert!(refused(start(&given(&arguments, &[]), broken))[0].starts_with("--config: c.yaml: "));
}

#[test]
fn the_file_in_the_home_directory_is_read_if_it_is_there() {
    let environment = [("HOME", "/var/op")];
    let file = |path: &Path| {
        assert_eq!(path, Path::new("/var/op/.agent.yaml"));
        Ok("port: 9\nsources:\n- {uri: f.json, provider: file}\nbearerToken: x\n".to_owned())
    };
    let config = start(&given(&[], &environment), file).unwrap();
    assert_eq!((port(&config.rpc), names(&config)), (9, vec!["f.json"]));
    assert_eq!(
        config.warnings,
        ["bearertoken in the configuration file was ignored: no such option"]
    );
    assert!(start(&given(&[("uri", "file:f")], &environment), no_file).is_ok());
}

#[test]
fn a_list_of_no_sources_is_a_problem_of_the_settings() {
    for (name, text) in [("sources", "[]"), ("sources", ""), ("uri", ""), ("uri", " , ")] {
        let problems = refused(start(&given(&[(name, text)], &[]), no_file));
        assert_eq!(problems.len(), 1, "--{name} {text:?}: {problems:?}");
        assert!(problems[0].contains("no source of flags"), "{problems:?}");
    }
    let config = started(&[("sources", "")], &[]);
    assert_eq!(names(&config), ["f.json"], "an empty text is no value");
}

#[test]
fn flagd_s_0_for_request_sizes_is_a_large_limit_and_no_error() {
    let config = started(&[("max-request-body", "0"), ("max-request-header", "0")], &[]);
    let sizes = RequestSizes { body_bytes: Some(16_000_000), header_bytes: Some(1 << 20) };
    assert_eq!(config.request, sizes);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
}
