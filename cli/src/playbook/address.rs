//! Where the other machine is, as the definitions of targets and agents have it.

use serde_json::Value as Json;

use super::call::PlaybookCall;
use crate::steps::Setback;

/// The definition of what a command acts on.
#[derive(Clone, Copy)]
pub(super) struct Place<'p>(&'p Json);

impl<'p> Place<'p> {
    /// The target, or without one the agent.
    pub(super) fn of(call: &'p PlaybookCall) -> Self {
        if call.target.is_null() {
            Self(&call.agent)
        } else {
            Self(&call.target)
        }
    }

    /// The first address of a kind: `url`, `dname`, `ipv4` or `ipv6`.
    pub(super) fn address(self, kind: &str) -> Option<&'p str> {
        let first = &self.0["address"][kind][0];
        first.as_str().filter(|text| !text.is_empty())
    }

    /// The first name or number that a machine is reached by.
    pub(super) fn host(self) -> Option<&'p str> {
        ["dname", "ipv4", "ipv6"]
            .into_iter()
            .find_map(|kind| self.address(kind))
    }

    /// A field that is text.
    pub(super) fn text(self, field: &str) -> Option<&'p str> {
        self.0[field].as_str().filter(|text| !text.is_empty())
    }

    /// The texts of a field that is one or a list.
    pub(super) fn texts(self, field: &str) -> Vec<&'p str> {
        match &self.0[field] {
            Json::String(text) => vec![text],
            Json::Array(items) => items.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The port, if there is one.
    ///
    /// # Errors
    /// It is no port.
    pub(super) fn port(self) -> Result<Option<u16>, Setback> {
        let field = &self.0["port"];
        let port = match field {
            Json::Null => return Ok(None),
            Json::String(text) => text.trim().parse().ok(),
            Json::Number(number) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
            _ => None,
        };
        match port {
            Some(port) if port > 0 => Ok(Some(port)),
            _ => Err(invalid(&format!(
                "port {field} is none; write a number from 1 to 65535"
            ))),
        }
    }
}

/// The target cannot be used, for this reason.
pub(super) fn invalid(why: &str) -> Setback {
    Setback::permanent(
        "target-invalid",
        format!("the target of the command: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::call;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_target_wins_over_the_agent() {
        let here = |target: Json| {
            let agent = json!({"address": {"ipv4": ["10.0.0.1"]}, "port": 22});
            let more = json!({"agent": agent, "target": target});
            let call = call(&json!({"type": "ssh"}), &more);
            let place = Place::of(&call);
            (place.host().map(str::to_owned), place.port())
        };
        let agents = (Some("10.0.0.1".to_owned()), Ok(Some(22)));
        assert_eq!(here(json!(null)), agents);
        let target = json!({"address": {"ipv6": ["::1"], "dname": ["h", "i"]}, "port": "2222"});
        assert_eq!(here(target), (Some("h".to_owned()), Ok(Some(2222))));
        assert_eq!(here(json!({})), (None, Ok(None)));
        for port in [json!("ssh"), json!(0), json!(65_536), json!([1])] {
            assert!(here(json!({"port": port})).1.is_err());
        }
    }
}
