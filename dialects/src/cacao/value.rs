//! Values of variables: their types, which texts fit them, and how two compare.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The type of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Type {
    Bool,
    Dictionary,
    Float,
    Hexstring,
    Integer,
    Ipv4Addr,
    Ipv6Addr,
    Long,
    MacAddr,
    Hash,
    Md5Hash,
    Sha256Hash,
    String,
    Uri,
    Uuid,
    /// One that the standard does not name; taken as text.
    Other,
}

/// How values of a type are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Number,
    Bool,
    Address,
    /// Text without regard to case.
    Hex,
    Text,
}

const NAMES: [(&str, Type); 15] = [
    ("bool", Type::Bool),
    ("dictionary", Type::Dictionary),
    ("float", Type::Float),
    ("hexstring", Type::Hexstring),
    ("integer", Type::Integer),
    ("ipv4-addr", Type::Ipv4Addr),
    ("ipv6-addr", Type::Ipv6Addr),
    ("long", Type::Long),
    ("mac-addr", Type::MacAddr),
    ("hash", Type::Hash),
    ("md5-hash", Type::Md5Hash),
    ("sha256-hash", Type::Sha256Hash),
    ("string", Type::String),
    ("uri", Type::Uri),
    ("uuid", Type::Uuid),
];

impl Type {
    /// The type of this name, if the standard has it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, found)| *found)
    }

    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        let found = NAMES.iter().find(|(_, known)| *known == self);
        found.map_or("text", |(name, _)| name)
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Integer | Self::Long | Self::Float => Family::Number,
            Self::Bool => Family::Bool,
            Self::Ipv4Addr | Self::Ipv6Addr => Family::Address,
            Self::MacAddr | Self::Hash | Self::Md5Hash | Self::Sha256Hash | Self::Hexstring => {
                Family::Hex
            }
            Self::String | Self::Uri | Self::Uuid | Self::Dictionary | Self::Other => Family::Text,
        }
    }

    /// Whether a text is a value of this type.
    pub(crate) fn fits(self, text: &str) -> bool {
        let hex =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        match self {
            Self::Bool => boolean(text).is_some(),
            Self::Integer | Self::Long => text.parse::<i64>().is_ok(),
            Self::Float => number(text).is_some(),
            Self::Hexstring | Self::Hash => hex(text) && text.len().is_multiple_of(2),
            Self::Md5Hash => hex(text) && text.len() == 32,
            Self::Sha256Hash => hex(text) && text.len() == 64,
            Self::Ipv4Addr => network(text).is_some_and(|net| matches!(net, IpNet::V4(_))),
            Self::Ipv6Addr => network(text).is_some_and(|net| matches!(net, IpNet::V6(_))),
            Self::MacAddr => {
                let parts: Vec<_> = text.split([':', '-']).collect();
                parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && hex(part))
            }
            Self::Dictionary => serde_json::from_str::<serde_json::Map<String, Json>>(text).is_ok(),
            Self::Uri => text
                .split_once(':')
                .is_some_and(|(scheme, _)| scheme.starts_with(|c: char| c.is_ascii_alphabetic())),
            Self::Uuid => is_uuid(text),
            Self::String | Self::Other => true,
        }
    }

    /// A value that fits and says where it comes from, for rehearsals.
    pub(crate) fn made_up(self, said: &str) -> String {
        let fixed = match self {
            Self::Bool => "true",
            Self::Integer | Self::Long | Self::Float => "1",
            Self::Hexstring | Self::Hash => "00",
            Self::Md5Hash => "d41d8cd98f00b204e9800998ecf8427e",
            Self::Sha256Hash => "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            // Addresses set aside for documentation (RFC 5737, RFC 3849, RFC 7042).
            Self::Ipv4Addr => "192.0.2.1",
            Self::Ipv6Addr => "2001:db8::1",
            Self::MacAddr => "00:00:5e:00:53:01",
            Self::Dictionary => return serde_json::json!({ "value": said }).to_string(),
            Self::Uri => return format!("urn:windlass:{}", said.replace(char::is_whitespace, "-")),
            Self::Uuid => "00000000-0000-4000-8000-000000000000",
            Self::String | Self::Other => said,
        };
        fixed.to_owned()
    }
}

/// The name of a type of variables or steps as people say it: `an ipv4-addr`, `a uuid`.
pub(crate) fn with_article(name: &str) -> String {
    let is_spoken_open = name.starts_with(['a', 'e', 'i', 'o']) || name == "md5-hash";
    let article = if is_spoken_open { "an" } else { "a" };
    format!("{article} {name}")
}

/// Whether it is written as a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An address stands for the network of itself alone.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let net: Result<IpNet, _> = text.parse();
    net.ok()
        .or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
        .map(|net| net.trunc())
}

/// A finite decimal number. `nan` and `inf` are words.
fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    let number: f64 = text.parse().ok().filter(|_| digits)?;
    number.is_finite().then_some(number)
}

/// How two values of a family compare; `None` if one of them is none of it. Addresses and bools
/// have no order beside being equal.
pub(crate) fn compare(family: Family, left: &str, right: &str) -> Option<Ordering> {
    match family {
        Family::Number => match (left.parse::<i64>(), right.parse::<i64>()) {
            (Ok(left), Ok(right)) => Some(left.cmp(&right)),
            _ => number(left)?.partial_cmp(&number(right)?),
        },
        Family::Bool => Some(boolean(left)?.cmp(&boolean(right)?)),
        Family::Address => Some(network(left)?.cmp(&network(right)?)),
        Family::Hex => {
            let form = |text: &str| text.replace('-', ":").to_ascii_lowercase();
            Some(form(left).cmp(&form(right)))
        }
        // UTF-8 keeps the order of code points.
        Family::Text => Some(left.cmp(right)),
    }
}

/// A value as text: an object of a dictionary as JSON. `None` is no value.
pub(crate) fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_types() {
        for (kind, fits, others) in [
            ("bool", &["true", "False"][..], &["yes", ""][..]),
            ("integer", &["0", "-12"], &["many", "1.5", ""]),
            ("float", &["1.5", "-2e3", "7"], &["nan", "inf", ""]),
            ("ipv4-addr", &["10.0.0.1", "10.0.0.0/8"], &["10.0.0", "::1"]),
            ("ipv6-addr", &["::1", "fe80::/10"], &["10.0.0.1"]),
            (
                "mac-addr",
                &["00:1b:44:11:3A:B7", "00-1b-44-11-3a-b7"],
                &["00:1b", "001b44113ab7"],
            ),
            ("hexstring", &["00ff"], &["f", "xy", ""]),
            ("md5-hash", &["d41d8cd98f00b204e9800998ecf8427e"], &["00"]),
            ("uri", &["https://a", "urn:x"], &["a b", ":x"]),
            (
                "uuid",
                &["2b9c1d7e-0f37-4449-a1bd-3f6564eadf7f"],
                &["2b9c1d7e"],
            ),
            ("dictionary", &["{}"], &["[]", "x"]),
            ("string", &["", "x"], &[]),
        ] {
            let kind = Type::named(kind).unwrap();
            assert!(fits.iter().all(|text| kind.fits(text)), "{kind:?}");
            assert!(!others.iter().any(|text| kind.fits(text)), "{kind:?}");
            assert!(kind.fits(&kind.made_up("Ask.__x__")), "{kind:?}");
        }
        assert_eq!(Type::named("text"), None);
    }

    #[test]
    fn values_compare_by_their_type() {
        for (family, left, right, expected) in [
            (Family::Number, "9", "10", Some(Ordering::Less)),
            (
                Family::Number,
                "9223372036854775807",
                "9223372036854775806",
                Some(Ordering::Greater),
            ),
            (Family::Number, "1.0", "1", Some(Ordering::Equal)),
            (Family::Number, "x", "1", None),
            (Family::Text, "9", "10", Some(Ordering::Greater)),
            (
                Family::Address,
                "10.0.0.1",
                "10.0.0.1/32",
                Some(Ordering::Equal),
            ),
            (
                Family::Address,
                "::ffff:1",
                "::FFFF:1",
                Some(Ordering::Equal),
            ),
            (Family::Hex, "00-1B", "00:1b", Some(Ordering::Equal)),
            (Family::Bool, "True", "true", Some(Ordering::Equal)),
        ] {
            assert_eq!(compare(family, left, right), expected, "{left} {right}");
        }
    }
}
