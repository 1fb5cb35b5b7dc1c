//! Versions, compared as dpkg does. The crate `debversion` takes a missing number for less than 0 (`1.a` < `1.a0`), which to
//! dpkg are the same.

use std::cmp::Ordering;

/// Compares two versions: epoch, upstream version, revision.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    let ((epoch, upstream, revision), (other_epoch, other_upstream, other_revision)) =
        (split(one), split(other));
    part(epoch, other_epoch)
        .then_with(|| part(upstream, other_upstream))
        .then_with(|| part(revision, other_revision))
}

/// A part that is missing counts as 0, which an empty text compares equal to.
fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Text and numbers take turns; letters come before all else, and `~` before the end.
fn part(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while !one.is_empty() || !other.is_empty() {
        let (text, number);
        (text, number, one) = turn(one);
        let (other_text, other_number);
        (other_text, other_number, other) = turn(other);
        let ordering = compare_text(text, other_text)
            .then(number.len().cmp(&other_number.len()))
            .then_with(|| number.cmp(other_number));
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

/// The text ahead, the number behind it without leading zeros, and the rest.
fn turn(bytes: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let text = bytes.iter().take_while(|byte| !byte.is_ascii_digit());
    let (text, bytes) = bytes.split_at(text.count());
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    let (number, rest) = bytes.split_at(digits.count());
    let zeros = number.iter().take_while(|byte| **byte == b'0').count();
    (text, &number[zeros..], rest)
}

fn compare_text(one: &[u8], other: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        None => 0,
        Some(b'~') => -1,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(sign) => i32::from(*sign) + 256,
    };
    (0..one.len().max(other.len()))
        .map(|at| weight(one.get(at)).cmp(&weight(other.get(at))))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_ordered() {
        let ascending = [
            "0~~",
            "0~",
            "0",
            "0a",
            "0+",
            "1.0~rc1-1",
            "1.0-1~bpo12+1",
            "1.0-1",
            "1.0-1+b1",
            "1.0.1-1",
            "1.9",
            "1.10",
            "1:0.1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        for (one, other) in [
            ("1.a", "1.a0"),
            ("1.0", "1.0-0"),
            ("0:1", "1"),
            ("1.01", "1.1"),
        ] {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} {other}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn dpkg_says_the_same(
            one in "([0-2]:)?[0-9][0-9a-b.+~]{0,4}(-[0-9a+~]{1,2})?",
            other in "([0-2]:)?[0-9][0-9a-b.+~]{0,4}(-[0-9a+~]{1,2})?",
        ) {
            let operator = match compare(&one, &other) {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            let Ok(status) = Command::new("dpkg").args(["--compare-versions", &one, operator, &other]).status() else {
                eprintln!("skipped: there is no dpkg here");
                return Ok(());
            };
            prop_assert!(status.success(), "{one} {operator} {other}");
        }
    }
}
