//! Functions of a graph that stand in its definition as data.
//!
//! A definition names each function by the JSON of its rule, so a stored definition says all that is
//! needed to go on with its runs: no file and no options are read again.

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_workflow_model::{Definition, Function, Functions};

/// What one function does, as data.
pub(crate) trait StoredRule: Serialize + DeserializeOwned {
    /// What the names of a dialect's functions begin with.
    const PREFIX: &'static str;

    /// The function itself.
    fn function(self) -> Function;

    /// The name under which a definition knows it.
    fn name(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{}{json}", Self::PREFIX)
    }

    /// The rule that a name stands for.
    fn named(name: &str) -> Option<Self> {
        serde_json::from_str(name.strip_prefix(Self::PREFIX)?).ok()
    }

    /// The first rule of a definition of which `of` makes something.
    fn find<T>(definition: &Definition, of: impl Fn(Self) -> Option<T>) -> Option<T> {
        let names = definition.functions();
        names
            .into_iter()
            .find_map(|(name, _)| of(Self::named(name)?))
    }

    /// All functions of a definition.
    ///
    /// # Errors
    /// The names of those that this version cannot read.
    fn functions(definition: &Definition) -> Result<Functions, Vec<String>> {
        let mut functions = Functions::new();
        let mut unknown = Vec::new();
        for (name, role) in definition.functions() {
            match Self::named(name).map(Self::function) {
                Some(function) if function.role() == role => {
                    functions.insert(name, function);
                }
                _ => unknown.push(name.to_owned()),
            }
        }
        if unknown.is_empty() {
            Ok(functions)
        } else {
            Err(unknown)
        }
    }
}
