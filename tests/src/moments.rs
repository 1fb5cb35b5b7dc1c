//! Moments at which a run is killed.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Numbers that a seed gives: enough for moments.
pub struct Moments(u64);

impl Moments {
    /// `KUBEXM_SEED`, or another one each time.
    pub fn new() -> Result<Self> {
        let seed = match std::env::var("KUBEXM_SEED") {
            Ok(seed) => seed.parse().context("KUBEXM_SEED is no number")?,
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        println!("KUBEXM_SEED={seed}");
        Ok(Self(seed))
    }

    /// One within these seconds.
    pub fn draw(&mut self, seconds: Range<u64>) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005) + 1_442_695_040_888_963_407;
        let span = (seconds.end - seconds.start) * 1_000;
        Duration::from_millis(seconds.start * 1_000 + (self.0 >> 33) % span)
    }
}
