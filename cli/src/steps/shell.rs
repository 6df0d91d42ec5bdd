//! `type: shell`: `config.command` of the step, run by `sh -c`.
//!
//! The command is the text of the workflow file and nothing is ever put into it: values reach it
//! as variables (`config.env`) and as JSON on stdin.

use serde_json::Value as Json;

/// A step's command and the variables it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellStep {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// From `config.env`.
    pub(super) variables: Vec<(String, String)>,
}

impl ShellStep {
    /// Reads the settings of a step.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn read(settings: &Json) -> Result<Self, Vec<ShellFault>> {
        let config = &settings["config"];
        let mut faults = Vec::new();
        let command = match &config["command"] {
            Json::String(text) if !text.trim().is_empty() => text.as_str(),
            other => {
                faults.push(ShellFault::command(other));
                ""
            }
        };
        let mut variables = Vec::new();
        match &config["env"] {
            Json::Null => {}
            Json::Object(env) => {
                for (name, value) in env {
                    match variable(name, value) {
                        Ok(variable) => variables.push(variable),
                        Err(message) => faults.push(ShellFault::env(message)),
                    }
                }
            }
            _ => faults.push(ShellFault::env(
                "config.env is no map, so variables would have no names; write NAME: value under it".to_owned(),
            )),
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            command: ["sh", "-c", command].map(str::to_owned).into(),
            variables,
        })
    }
}

/// One thing that is wrong with the settings of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellFault {
    /// Stable, for machines.
    pub(crate) code: &'static str,
    /// Where, below the step.
    pub(crate) pointer: &'static str,
    /// What, why and how to fix it.
    pub(crate) message: String,
}

impl ShellFault {
    fn command(found: &Json) -> Self {
        let what = match found {
            Json::Null => "is missing",
            Json::String(_) => "is empty",
            _ => "is no text",
        };
        Self {
            code: "shell-command-invalid",
            pointer: "/config/command",
            message: format!(
                "config.command {what}, so sh would have nothing to run; write a text with a command"
            ),
        }
    }

    fn env(message: String) -> Self {
        Self {
            code: "shell-env-invalid",
            pointer: "/config/env",
            message,
        }
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
    fn all_faults_are_told_at_once() {
        let step = json!({"config": {"env": {"A-B": 1, "OK": 2, "1C": 3}}});
        let faults = ShellStep::read(&step).unwrap_err();
        let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
        let env = "shell-env-invalid";
        assert_eq!(codes, ["shell-command-invalid", env, env]);
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
            assert!(refusal[0].message.contains(word), "{refusal:?}");
        }
    }
}
