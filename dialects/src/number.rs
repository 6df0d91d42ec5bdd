//! Numbers as JSON, as long as JSON as we write it keeps their value.

use serde_json::Number;

/// The JSON number of the same value, or `None` if it would come out as another one: too many
/// digits, too large, infinite, or of a notation that readers disagree about (`0644`).
pub(crate) fn exact(text: &str) -> Option<Number> {
    let radix = |digits, radix| u64::from_str_radix(digits, radix).ok().map(Number::from);
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.trim_start_matches(['-', '+']);
    if unsigned.len() > 1
        && unsigned.starts_with('0')
        && unsigned.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    let number: f64 = text.parse().ok()?;
    let same = decimal(text)? == decimal(&format!("{number:e}"))?;
    if same { Number::from_f64(number) } else { None }
}

/// Sign, significant digits and exponent: equal for equal values.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let negative = text.starts_with('-');
    let text = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let trimmed = digits.trim_end_matches('0');
    let trailing = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let exponent = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(trailing)?;
    let significant = trimmed.trim_start_matches('0').to_owned();
    let exponent = if significant.is_empty() { 0 } else { exponent };
    Some((negative, significant, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_value_or_stays_text() {
        for (text, json) in [
            ("5", Some("5")),
            ("+5", Some("5")),
            ("-5", Some("-5")),
            ("0", Some("0")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("18446744073709551616", None),
            ("123456789012345678901234567890", None),
            ("1.50", Some("1.5")),
            ("0.1", Some("0.1")),
            ("0.0", Some("0.0")),
            ("1e3", Some("1000.0")),
            ("0.12345678901234567890", None),
            ("1e400", None),
            ("1e99999999999999999999", None),
            (".inf", None),
            (".nan", None),
            ("0644", None),
            ("0x1F", Some("31")),
            ("0o17", Some("15")),
            ("0xFFFFFFFFFFFFFFFFF", None),
        ] {
            let number = exact(text).map(|number| number.to_string());
            assert_eq!(number.as_deref(), json, "{text}");
        }
        assert_eq!(exact(&"9".repeat(1_000_000)), None);
    }
}
