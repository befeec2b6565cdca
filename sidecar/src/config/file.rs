//! The configuration file of `start`: the options by their long names, in YAML or JSON.
//!
//! As in flagd, the keys of all maps are read in lower case, `context-value` included.

use std::collections::BTreeMap;

use serde_json::Value;

/// Reads the file into texts by lower-case key. A list is several texts; a map is several texts of
/// the form `key=value`; an element that is a map itself (a source) stays JSON.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn read(text: &str, is_json: bool) -> Result<BTreeMap<String, Vec<String>>, String> {
    let value: Value = if is_json {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())?
    };
    let members = match value {
        Value::Object(members) => members,
        Value::Null => return Ok(BTreeMap::new()),
        _ => return Err("the settings must be one map from option names to values".to_owned()),
    };
    Ok(members.into_iter().map(|(key, value)| (key.to_lowercase(), texts(value))).collect())
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements.into_iter().map(text).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| format!("{}={}", key.to_lowercase(), text(value)))
            .collect(),
        scalar => vec![text(scalar)],
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = r#"{"port": 9, "Debug": true, "uri": ["file:a", "file:b"],
            "context-value": {"Region": "eu"}, "sources": [{"uri": "c", "provider": "file"}]}"#;
        let yaml = "port: 9\nDebug: true\nuri: [file:a, file:b]\ncontext-value: {Region: eu}\n\
            sources:\n- {uri: c, provider: file}\n";
        let found = read(json, true).unwrap();
        assert_eq!(found, read(yaml, false).unwrap());
        assert_eq!(found["port"], ["9"]);
        assert_eq!(found["debug"], ["true"]);
        assert_eq!(found["uri"], ["file:a", "file:b"]);
        assert_eq!(found["context-value"], ["region=eu"]);
        assert!(found["sources"][0].contains(r#""provider":"file""#));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        assert!(read("- a\n", false).is_err());
        assert!(read("{", true).is_err());
        assert_eq!(read("", false).unwrap(), BTreeMap::new());
    }
}
