use crate::args::InstallArgs;
use crate::error::Failure;
use crate::output::Printer;

pub fn run(args: &InstallArgs, _: &Printer) -> Result<(), Failure> {
    Err(Failure::Usage {
        message: format!("install does not act yet: {args:?}"),
        hint: None,
    })
}
