//! How the other side knows us: the authentication information of a playbook.
//!
//! CACAO 2.0 has three types: `http-basic` (`user_id`, `password`), `oauth2` (`oauth_header`,
//! `token`) and `user-auth` (`username`, `password`). With `kms` the value lies in a key management
//! service; ours is the table `[secrets]`. A `private_key` is taken too.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use crate::secrets::Secrets;
use crate::steps::Setback;

/// The fields that are no secret; every other one is.
const PUBLIC: [&str; 7] = [
    "description",
    "id",
    "kms_key_identifier",
    "name",
    "type",
    "user_id",
    "username",
];

/// The fields of authentication information that are text, with secrets filled in.
pub(super) struct Credentials {
    fields: BTreeMap<String, String>,
    /// Texts that stand deeper.
    inner: Vec<String>,
}

impl Credentials {
    /// Reads them; null is none.
    ///
    /// # Errors
    /// The value that lies in the key management service is not among the secrets.
    pub(super) fn read(found: &Json, secrets: &Secrets) -> Result<Option<Self>, Setback> {
        let Some(object) = found.as_object() else {
            return Ok(None);
        };
        let mut credentials = Self {
            fields: BTreeMap::new(),
            inner: Vec::new(),
        };
        for (name, value) in object {
            if let Json::String(text) = value {
                let text = secrets.fill_in(text);
                credentials.fields.insert(name.clone(), text);
            } else {
                texts_in(value, &mut credentials.inner);
            }
        }
        if object.get("kms") == Some(&Json::Bool(true)) {
            credentials.look_up(secrets)?;
        }
        Ok(Some(credentials))
    }

    fn look_up(&mut self, secrets: &Secrets) -> Result<(), Setback> {
        let identifier = self.field("kms_key_identifier").unwrap_or_default();
        let found = secrets
            .get(identifier)
            .or_else(|| secrets.get(&format!("__{identifier}__")));
        let Some(value) = found.map(str::to_owned) else {
            return Err(Setback::permanent(
                "secret-unknown",
                format!(
                    "the credentials of the command lie in the key management service under {identifier:?}, and there is no such secret; add __{identifier}__ to [secrets] of windlass.toml"
                ),
            ));
        };
        let field = match self.field("type") {
            Some("oauth2") => "token",
            _ => "password",
        };
        self.fields.insert(field.to_owned(), value);
        Ok(())
    }

    fn field(&self, name: &str) -> Option<&str> {
        let text = self.fields.get(name).map(String::as_str);
        text.filter(|text| !text.is_empty())
    }

    /// Who we are.
    pub(super) fn user(&self) -> Option<&str> {
        self.field("username").or_else(|| self.field("user_id"))
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.field("password")
    }

    pub(super) fn private_key(&self) -> Option<&str> {
        self.field("private_key")
    }

    /// The value of the header `Authorization`.
    ///
    /// # Errors
    /// Something is missing for it.
    pub(super) fn authorization(&self) -> Result<String, Setback> {
        let header = self.field("oauth_header").map(|header| {
            let header = header.trim();
            header
                .strip_prefix("Authorization:")
                .unwrap_or(header)
                .trim()
        });
        match (header, self.field("token"), self.user(), self.password()) {
            // A scheme and what belongs to it stand in the header already.
            (Some(header), _, _, _) if header.contains(' ') => Ok(header.to_owned()),
            (Some(scheme), Some(token), _, _) if !matches!(scheme, "" | "Authorization") => {
                Ok(format!("{scheme} {token}"))
            }
            (_, Some(token), _, _) | (Some(token), None, _, _) => Ok(format!("Bearer {token}")),
            (None, None, Some(user), password) => {
                let both = format!("{user}:{}", password.unwrap_or_default());
                Ok(format!("Basic {}", BASE64_STANDARD.encode(both)))
            }
            (None, None, None, _) => Err(Setback::permanent(
                "authentication-invalid",
                "the authentication information of the command has no token, no oauth_header and no user, so no request can be sent with it; add one",
            )),
        }
    }

    /// Every text of these that must not be shown.
    pub(super) fn to_be_hidden(&self) -> Vec<String> {
        let mut hidden = self.inner.clone();
        for (name, text) in &self.fields {
            if PUBLIC.contains(&name.as_str()) {
                continue;
            }
            match text.split_once(' ') {
                Some((_, value)) if name == "oauth_header" => {
                    hidden.extend([text.clone(), value.trim().to_owned()]);
                }
                // The name of a scheme, such as Bearer.
                None if name == "oauth_header" && self.field("token").is_some() => {}
                _ => hidden.push(text.clone()),
            }
        }
        if let (Some(user), Some(password)) = (self.user(), self.password()) {
            hidden.push(format!("{user}:{password}"));
        }
        hidden
    }
}

fn texts_in(value: &Json, texts: &mut Vec<String>) {
    match value {
        Json::String(text) => texts.push(text.clone()),
        Json::Array(items) => items.iter().for_each(|item| texts_in(item, texts)),
        Json::Object(entries) => entries.values().for_each(|item| texts_in(item, texts)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_sources::{SecretSource, SecretSources};
    use serde_json::json;

    fn read(found: &Json) -> Result<Credentials, Setback> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "hunter2").unwrap();
        std::process::Command::new("chmod")
            .arg("600")
            .arg(&path)
            .status()
            .unwrap();
        let sources = [("__s__".to_owned(), SecretSource::File(path))];
        let secrets = Secrets::load(&SecretSources(sources.into())).unwrap();
        Credentials::read(found, &secrets).map(Option::unwrap)
    }

    #[test]
    fn each_type_gives_its_header_and_hides_its_secret() {
        for (found, header, hidden) in [
            (
                json!({"type": "http-basic", "user_id": "kim", "password": "__s__:value"}),
                "Basic a2ltOmh1bnRlcjI=",
                "hunter2",
            ),
            (
                json!({"type": "oauth2", "oauth_header": "Bearer", "token": "__s__:value"}),
                "Bearer hunter2",
                "hunter2",
            ),
            (
                json!({"type": "oauth2", "oauth_header": "Authorization: OAuth t=\"x\"", "token": "x"}),
                "OAuth t=\"x\"",
                "OAuth t=\"x\"",
            ),
            (
                json!({"type": "oauth2", "oauth_header": "Authorization", "token": "__s__:value"}),
                "Bearer hunter2",
                "hunter2",
            ),
            (
                json!({"type": "oauth2", "oauth_header": "abc"}),
                "Bearer abc",
                "abc",
            ),
            (
                json!({"type": "oauth2", "oauth_header": "Token", "kms": true, "kms_key_identifier": "s"}),
                "Token hunter2",
                "hunter2",
            ),
            (
                json!({"type": "user-auth", "username": "kim", "kms": true, "kms_key_identifier": "__s__"}),
                "Basic a2ltOmh1bnRlcjI=",
                "hunter2",
            ),
        ] {
            let credentials = read(&found).unwrap();
            assert_eq!(credentials.authorization(), Ok(header.to_owned()));
            let all = credentials.to_be_hidden();
            assert!(all.iter().any(|text| text == hidden), "{hidden} in {all:?}");
            assert!(!all.iter().any(|text| text == "kim" || text == "Bearer"));
        }
    }

    #[test]
    fn what_stands_deeper_is_hidden_and_what_is_missing_is_told() {
        let found =
            json!({"type": "user-auth", "username": "kim", "extensions": {"x": [{"otp": "123"}]}});
        assert_eq!(read(&found).unwrap().to_be_hidden(), ["123"]);
        let nobody = read(&json!({"type": "http-basic"})).unwrap();
        assert!(nobody.authorization().is_err());
        let elsewhere = json!({"type": "oauth2", "kms": true, "kms_key_identifier": "gone"});
        let Err(Setback::Failed { message, .. }) = read(&elsewhere) else {
            panic!("there is no such secret");
        };
        assert!(message.contains("\"gone\""), "{message}");
    }
}
