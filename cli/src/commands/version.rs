use serde::Serialize;

use crate::error::Failure;
use crate::output::{Format, Printer};

#[derive(Serialize)]
struct Version {
    kubexm: &'static str,
    bundle_format: u32,
    os: &'static str,
    arch: &'static str,
}

pub fn run(printer: &Printer) -> Result<(), Failure> {
    let version = Version {
        kubexm: env!("CARGO_PKG_VERSION"),
        bundle_format: artifact::FORMAT,
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    };
    match printer.format() {
        Format::Json => printer.document(&version)?,
        Format::Text => {
            let Version {
                kubexm,
                bundle_format,
                os,
                arch,
            } = version;
            printer.result(format_args!(
                "kubexm {kubexm} ({os} {arch}, bundle format {bundle_format})"
            ))?;
        }
    }
    Ok(())
}
