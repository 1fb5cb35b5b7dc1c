use crate::args::VerifyArgs;
use crate::error::Failure;
use crate::output::Printer;

pub fn run(args: &VerifyArgs, _: &Printer) -> Result<(), Failure> {
    Err(Failure::Usage {
        message: format!("verify does not act yet: {args:?}"),
        hint: None,
    })
}
