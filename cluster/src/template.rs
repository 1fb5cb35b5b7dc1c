/// A small config to start from, with notes on what to change.
#[must_use]
pub const fn init_template() -> &'static str {
    include_str!("init.yaml")
}
