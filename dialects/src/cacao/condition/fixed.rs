//! Values for tests and for fuzzing.

use super::Values;
use crate::cacao::value::Type;

/// Variables that always hold the same; those of no other name hold nothing.
#[derive(Debug)]
pub(super) struct Fixed;

impl Values for Fixed {
    fn value(&self, name: &str) -> Option<String> {
        let value = match name {
            "__n__" => "2",
            "__s__" => "linux",
            "__b__" => "true",
            "__ip__" => "10.1.2.3",
            "__mac__" => "00-1B-44-11-3A-B7",
            "__bad__" => "perhaps",
            "__text__" => "a\nb%",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn type_of(&self, name: &str) -> Option<Type> {
        match name {
            "__n__" => Some(Type::Integer),
            "__b__" | "__bad__" | "__hot__" => Some(Type::Bool),
            "__ip__" => Some(Type::Ipv4Addr),
            "__mac__" => Some(Type::MacAddr),
            _ => Some(Type::String),
        }
    }
}
