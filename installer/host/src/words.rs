/// An error of the operating system in words alone, without its number.
pub(crate) fn io(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return "it ended early".to_owned();
    }
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let words = words
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(words);
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    #[test]
    fn numbers_are_for_programs() {
        assert_eq!(
            super::io(&Error::from_raw_os_error(2)),
            "no such file or directory"
        );
        assert_eq!(
            super::io(&Error::from(ErrorKind::UnexpectedEof)),
            "it ended early"
        );
        assert_eq!(super::io(&Error::other("")), "");
    }
}
