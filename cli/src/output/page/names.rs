//! Many names in few words: `node4–node200`.

use std::cmp::Ordering;

/// So many pieces are shown.
const SHOWN: usize = 5;

/// Names in the order in which people count, runs of numbers folded. Only so many that it stays one line or two.
pub fn folded<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable_by(|a, b| natural(a, b));
    names.dedup();
    let mut pieces: Vec<(String, usize)> = Vec::new();
    let mut rest = names.as_slice();
    while let Some(first) = rest.first() {
        let run = run_of(rest);
        match run {
            0..3 => pieces.push(((*first).to_owned(), 1)),
            _ => pieces.push((format!("{first}\u{2013}{}", rest[run - 1]), run)),
        }
        rest = &rest[if run < 3 { 1 } else { run }..];
    }
    let left: usize = pieces.iter().skip(SHOWN).map(|(_, count)| count).sum();
    let shown: Vec<String> = pieces
        .into_iter()
        .take(SHOWN)
        .map(|(piece, _)| piece)
        .collect();
    match left {
        0 => shown.join(", "),
        left => format!("{} and {left} more", shown.join(", ")),
    }
}

/// How many names from the first on count up by one.
fn run_of(names: &[&str]) -> usize {
    let Some((prefix, Some(first))) = names.first().map(|name| split(name)) else {
        return 0;
    };
    let follows = |(at, name): (u64, &&str)| {
        let (other, number) = split(name);
        other == prefix && number == first.checked_add(at) && !is_padded(name)
    };
    (0..)
        .zip(names)
        .take_while(|(at, name)| follows((*at, name)))
        .count()
}

/// `node12` is `node` and 12.
fn split(name: &str) -> (&str, Option<u64>) {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (prefix, number) = name.split_at(name.len() - digits);
    (prefix, number.parse().ok())
}

fn is_padded(name: &str) -> bool {
    let (prefix, _) = split(name);
    let number = &name[prefix.len()..];
    number.len() > 1 && number.starts_with('0')
}

/// `node2` before `node10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let ((a_prefix, a_number), (b_prefix, b_number)) = (split(a), split(b));
    (a_prefix, a_number, a).cmp(&(b_prefix, b_number, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_one_piece() {
        assert_eq!(
            folded(["node10", "node9", "node8", "master1", "node2", "node11"]),
            "master1, node2, node8\u{2013}node11"
        );
        assert_eq!(folded(["a1", "a2"]), "a1, a2");
        assert_eq!(
            folded(["(operator)", "n01", "n02", "n03"]),
            "(operator), n01, n02, n03"
        );
        assert_eq!(folded([]), "");
    }

    #[test]
    fn what_nobody_would_read_is_counted() {
        let names: Vec<String> = (0..40).map(|n| format!("h{}", n * 2)).collect();
        let text = folded(names.iter().map(String::as_str));
        assert!(text.starts_with("h0, h2, h4"), "{text}");
        assert!(text.ends_with(" and 35 more"), "{text}");
    }
}
