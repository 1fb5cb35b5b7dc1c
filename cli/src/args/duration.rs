use std::time::Duration;

use jiff::SignedDuration;

/// As people write it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| "write it as 90s, 15m or 1h".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "it cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_do() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert!(duration("soon").is_err() && duration("-1s").is_err());
    }
}
