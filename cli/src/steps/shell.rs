//! Steps that the shell does: `config.command` of a step of type `shell`, or `command` in the
//! `input_mapping` of an agent of that name, run by `sh -c`.
//!
//! The command is the text of the workflow file and nothing is ever put into it: values reach it
//! as variables (`env` beside it) and as JSON on stdin.

use serde_json::{Map, Value as Json};
use windlass_dialects::{Dialect, GroupInput, group_puts_values, has_references};

/// A step's command and the variables it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellStep {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// From `config.env`.
    pub(super) variables: Vec<(String, String)>,
}

impl ShellStep {
    /// Reads the settings of a step as its file has them.
    ///
    /// Of an agent these are not yet what its shell gets: variables whose value only a run knows are
    /// empty.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn read(settings: &Json) -> Result<Self, Vec<ShellFault>> {
        let config = &settings["config"];
        if settings["dialect"] != Dialect::ParallelJson.as_str() {
            if group_puts_values(settings, "command") {
                let why = "takes a value of the run, which would become part of the command; write the command itself and pass the value in env";
                return Err(vec![At("config").fault_of_command(why)]);
            }
            return At("config").read(config);
        }
        let mapping = &config["input_mapping"];
        let at = At("input_mapping");
        if has_references(&mapping["command"]) {
            let why = "takes a value of the run, which would become part of the command; write the command itself and pass the value in env";
            return Err(vec![at.fault_of_command(why)]);
        }
        at.read(&known_now(mapping))
    }

    /// Reads a step of step groups: its command as the file has it, and as variables the values of
    /// `config.env` and everything that the step's references see.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn of_group(settings: &Json, given: &GroupInput) -> Result<Self, Vec<ShellFault>> {
        let mut shell = Self::read(settings)?;
        let mut config = Map::new();
        config.insert("command".to_owned(), settings["config"]["command"].clone());
        if let Some(env) = given.config.get("env") {
            config.insert("env".to_owned(), env.clone());
        }
        let own = At("config").read(&Json::Object(config))?.variables;
        // No value can stand under a name that programs heed, unless the step itself says so.
        let is_plain = |name: &str| {
            let mut all = name.chars();
            let first = all
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            first && all.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let seen = given.env.iter().filter(|(name, value)| {
            let heeded = !given.own_env.contains_key(*name) && std::env::var_os(name).is_some();
            is_plain(name) && !heeded && !value.contains('\0')
        });
        shell.variables = seen
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        shell.variables.extend(own);
        Ok(shell)
    }

    /// Reads what an agent was given, whose settings [`read`](Self::read) has found good.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn of_input(input: &Json) -> Result<Self, Vec<ShellFault>> {
        At("input").read(input)
    }
}

/// A mapping with its variables, those that only a run knows left empty.
fn known_now(mapping: &Json) -> Json {
    let mut known = Map::new();
    known.insert("command".to_owned(), mapping["command"].clone());
    match &mapping["env"] {
        Json::Object(env) => {
            let now = |value: &Json| {
                if has_references(value) {
                    Json::Null
                } else {
                    value.clone()
                }
            };
            let env = env.iter().map(|(name, value)| (name.clone(), now(value)));
            known.insert("env".to_owned(), Json::Object(env.collect()));
        }
        env if has_references(env) => {}
        env => {
            known.insert("env".to_owned(), env.clone());
        }
    }
    Json::Object(known)
}

/// What holds the command, as its author calls it.
struct At(&'static str);

impl At {
    fn read(&self, config: &Json) -> Result<ShellStep, Vec<ShellFault>> {
        let mut faults = Vec::new();
        let command = match &config["command"] {
            Json::String(text) if !text.trim().is_empty() => text.as_str(),
            other => {
                let what = match other {
                    Json::Null => "is missing",
                    Json::String(_) => "is empty",
                    _ => "is no text",
                };
                faults.push(self.fault_of_command(&format!(
                    "{what}, so sh would have nothing to run; write a text with a command"
                )));
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
                        Err(why) => faults.push(self.fault_of_env(&why)),
                    }
                }
            }
            _ => faults.push(self.fault_of_env(
                " is no map, so variables would have no names; write NAME: value under it",
            )),
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(ShellStep {
            command: ["sh", "-c", command].map(str::to_owned).into(),
            variables,
        })
    }

    fn fault_of_command(&self, what: &str) -> ShellFault {
        ShellFault {
            code: "shell-command-invalid",
            pointer: format!("/{}/command", self.0),
            message: format!("{}.command {what}", self.0),
        }
    }

    /// `what` goes on after `config.env`.
    fn fault_of_env(&self, what: &str) -> ShellFault {
        ShellFault {
            code: "shell-env-invalid",
            pointer: format!("/{}/env", self.0),
            message: format!("{}.env{what}", self.0),
        }
    }
}

/// One thing that is wrong with the settings of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellFault {
    /// Stable, for machines.
    pub(crate) code: &'static str,
    /// Where, below the step.
    pub(crate) pointer: String,
    /// What, why and how to fix it.
    pub(crate) message: String,
}

fn variable(name: &str, value: &Json) -> Result<(String, String), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(format!(
            ": {name:?} is no name of a variable; use letters, digits and _"
        ));
    }
    if name.starts_with("WINDLASS_CTX_") {
        return Err(format!(
            ": {name} is set by windlass itself; choose another name"
        ));
    }
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::Array(_) | Json::Object(_) => {
            return Err(format!(
                ".{name} is a list or map; a variable holds one text"
            ));
        }
    };
    if text.contains('\0') {
        return Err(format!(
            ".{name} holds a zero byte, which no variable can; remove it"
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
    fn an_agent_has_a_command_of_its_own_and_variables_from_the_run() {
        let read = |mapping: Json| {
            ShellStep::read(
                &json!({"dialect": "parallel-json", "config": {"input_mapping": mapping}}),
            )
        };
        let mapping =
            json!({"command": "echo $A", "env": {"A": "${a.output.x}", "B": 1}, "more": 5});
        let found = read(mapping).unwrap();
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        assert_eq!(found.variables, [("A", ""), ("B", "1")].map(own));
        read(json!({"command": "echo $${x}", "env": "${a.output}"})).unwrap();
        for (mapping, message) in [
            (json!({}), "input_mapping.command is missing"),
            (
                json!({"command": "rm ${a.output.x}"}),
                "input_mapping.command takes a value of the run",
            ),
            (
                json!({"command": "ls", "env": {"A-B": "${a.output.x}"}}),
                "input_mapping.env: \"A-B\"",
            ),
        ] {
            let faults = read(mapping).unwrap_err();
            assert!(faults[0].message.starts_with(message), "{faults:?}");
        }
        let faults = ShellStep::of_input(&json!({"command": "ls", "env": {"A": {}}})).unwrap_err();
        assert_eq!(faults[0].pointer, "/input/env");
        assert!(
            faults[0]
                .message
                .starts_with("input.env.A is a list or map"),
            "{faults:?}"
        );
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
