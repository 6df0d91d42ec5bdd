//! One call in progress: what is known of it, and what hides its secrets.

use super::call::PlaybookCall;
use super::credentials::Credentials;
use super::equipment::Equipment;
use crate::masks::Masks;
use crate::program::{Call, ERROR_BYTES_MAX, ProgramError, Report};
use crate::steps::Setback;

/// A call, and everything that is needed to perform it.
pub(super) struct Work<'w> {
    pub(super) call: &'w PlaybookCall,
    pub(super) equipment: &'w Equipment,
    pub(super) credentials: Option<Credentials>,
    pub(super) masks: Masks,
}

impl<'w> Work<'w> {
    /// Gathers it.
    ///
    /// # Errors
    /// The credentials cannot be used, or a value that was filled in refers to a secret.
    pub(super) fn of(call: &'w PlaybookCall, equipment: &'w Equipment) -> Result<Self, Setback> {
        let secrets = &equipment.secrets;
        refuse_smuggled(call, equipment)?;
        let credentials = Credentials::read(&call.authentication, secrets)?;
        let more = credentials.as_ref().map(Credentials::to_be_hidden);
        let masks = secrets.masks(more.iter().flatten().map(String::as_str));
        Ok(Self {
            call,
            equipment,
            credentials,
            masks,
        })
    }

    /// The script, with secrets.
    pub(super) fn script(&self) -> Result<String, Setback> {
        let text = self.equipment.secrets.fill_in(self.call.text()?);
        if text.contains('\0') {
            return Err(Setback::permanent(
                "command-text",
                "the text of the command holds a zero byte, which no shell takes; remove it",
            ));
        }
        Ok(text)
    }

    /// Runs a program; what it wrote about errors comes back without secrets.
    pub(super) async fn run(
        &self,
        program: Program,
        stop: impl Future<Output = ()>,
    ) -> Result<Report, ProgramError> {
        let call = Call {
            command: program.command,
            folder: self.equipment.folder.clone(),
            variables: program.variables,
            hidden: self.equipment.secrets.variables().to_vec(),
            input: program.input,
            holds_input: program.holds_input,
            private: program.private,
            job: self.call.idempotency_key.clone(),
            label: format!("{}/{}", self.call.run_id, self.call.step_id),
        };
        let report = self.equipment.programs.run(call, stop).await?;
        let errors = String::from_utf8_lossy(&report.errors);
        let hidden = if report.errors.len() < ERROR_BYTES_MAX {
            self.masks.hide(&errors).into_owned()
        } else {
            self.masks.hide_after_cut(&errors)
        };
        Ok(Report {
            errors: hidden.into_bytes(),
            ..report
        })
    }
}

/// What is to be run; the rest of a [`Call`] is the same for every command.
#[derive(Default)]
pub(super) struct Program {
    pub(super) command: Vec<String>,
    pub(super) variables: Vec<(String, String)>,
    pub(super) input: Vec<u8>,
    pub(super) holds_input: bool,
    pub(super) private: Option<std::path::PathBuf>,
}

/// A secret is filled in where the playbook's author refers to it, never where a value does that
/// came from somewhere else: such a value could send it anywhere.
fn refuse_smuggled(call: &PlaybookCall, equipment: &Equipment) -> Result<(), Setback> {
    let secrets = &equipment.secrets;
    let refused = |what: String, name: &str| {
        let message = format!(
            "{what} refers to the secret {name}, and a secret may only be referred to by the playbook itself; find out where the value comes from"
        );
        Err(Setback::permanent("secret-in-value", message))
    };
    for (variable, value) in call.values() {
        if let Some(name) = secrets.named_in(&value).first() {
            return refused(format!("the value of {variable}"), name);
        }
    }
    if let (Some(text), Some(raw)) = (&call.command.text, &call.command.raw) {
        let written = secrets.named_in(raw);
        let filled_in = secrets.named_in(text);
        if let Some(name) = filled_in.iter().find(|name| !written.contains(name)) {
            return refused("a value in the text of the command".to_owned(), name);
        }
    }
    Ok(())
}
