//! A command line that is not understood, or asks for help alone.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::ColorChoice;
use clap::error::{ContextKind, ContextValue};

use crate::error::ErrorEvent;
use crate::output::{Detail, Format, Printer, ProgressStyle};

/// Says it as clap does, and in an event as well where events are asked for.
pub fn told(mut error: clap::Error) -> ExitCode {
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && word == "-o"
    {
        let tip = "for JSON, say '--output json'".to_owned().into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    // Whoever closed the stream does not want to know.
    let _ = error.print();
    if error.use_stderr() && asks_for_events(env::args_os()) {
        let printer = Printer::new(
            Format::Json,
            ColorChoice::Never,
            ProgressStyle::Lines(Detail::Tasks),
        );
        let _ = printer.document(&ErrorEvent::from(&error));
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn asks_for_events(args: impl Iterator<Item = OsString>) -> bool {
    let args: Vec<OsString> = args.collect();
    let pair = |pair: &[OsString]| pair[0] == "--output" && pair[1] == "json";
    args.windows(2).any(pair) || args.iter().any(|arg| arg == "--output=json")
}
