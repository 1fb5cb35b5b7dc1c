use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use pipeline::LocalData;

/// How pods leave a node.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// How long pods may take to go: 90s, 15m, 1h
    #[arg(long, value_name = "D", default_value = "5m", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Lose pods that nobody makes again, and data that is on these nodes alone: emptyDir, local volumes
    #[arg(long)]
    delete_local_data: bool,
}

impl DrainArgs {
    pub const fn local(&self) -> LocalData {
        if self.delete_local_data {
            LocalData::Lose
        } else {
            LocalData::Refuse
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
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
