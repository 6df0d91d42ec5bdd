//! `type: shell`: `config.command` of the step, run by `sh -c`.
//!
//! The command is the text of the workflow file and nothing is ever put into it: values reach it
//! as variables (`config.env`) and as JSON on stdin.

use serde_json::Value as Json;

/// A step's command and the variables it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShellStep {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// From `config.env`.
    pub(super) variables: Vec<(String, String)>,
}

impl ShellStep {
    /// Reads the settings of a step.
    ///
    /// # Errors
    /// What is wrong with them, and how to fix it.
    pub(super) fn read(settings: &Json) -> Result<Self, String> {
        let config = &settings["config"];
        let command = config["command"].as_str().unwrap_or_default();
        if command.trim().is_empty() {
            return Err("config.command is not a text with a command; sh would have nothing to run; add one".to_owned());
        }
        let variables = match &config["env"] {
            Json::Null => Vec::new(),
            Json::Object(env) => env
                .iter()
                .map(|(name, value)| variable(name, value))
                .collect::<Result<_, _>>()?,
            _ => return Err("config.env is no map; write NAME: value under it".to_owned()),
        };
        Ok(Self {
            command: ["sh", "-c", command].map(str::to_owned).into(),
            variables,
        })
    }
}

fn variable(name: &str, value: &Json) -> Result<(String, String), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(format!(
            "config.env: {name:?} is no name of a variable; use letters, digits and _"
        ));
    }
    if name.starts_with("WINDLASS_CTX_") {
        return Err(format!(
            "config.env: {name} is set by windlass itself; choose another name"
        ));
    }
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::Array(_) | Json::Object(_) => {
            return Err(format!(
                "config.env.{name} is a list or map; a variable holds one text"
            ));
        }
    };
    if text.contains('\0') {
        return Err(format!(
            "config.env.{name} holds a zero byte, which no variable can; remove it"
        ));
    }
    Ok((name.to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_become_variables_and_never_part_of_the_command() {
        let step = json!({"config": {"command": "echo $A", "env": {"A": "$(rm -rf /)", "N": 5}}});
        let step = ShellStep::read(&step).unwrap();
        assert_eq!(step.command, ["sh", "-c", "echo $A"]);
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        assert_eq!(step.variables, [("A", "$(rm -rf /)"), ("N", "5")].map(own));
    }

    #[test]
    fn what_the_shell_cannot_take_is_refused() {
        for (config, word) in [
            (json!({}), "config.command"),
            (json!({"command": ["ls"]}), "config.command"),
            (json!({"command": "ls", "env": 5}), "no map"),
            (json!({"command": "ls", "env": {"A-B": 1}}), "\"A-B\""),
            (
                json!({"command": "ls", "env": {"WINDLASS_CTX_RUN": 1}}),
                "windlass itself",
            ),
            (json!({"command": "ls", "env": {"A": [1]}}), "one text"),
            (json!({"command": "ls", "env": {"A": "\0"}}), "zero byte"),
        ] {
            let refusal = ShellStep::read(&json!({"config": config})).unwrap_err();
            assert!(refusal.contains(word), "{refusal}");
        }
    }
}
