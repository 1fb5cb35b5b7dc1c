use crate::args::InspectArgs;
use crate::error::Failure;
use crate::output::Printer;

pub fn run(args: &InspectArgs, _: &Printer) -> Result<(), Failure> {
    Err(Failure::Usage {
        message: format!("inspect does not act yet: {args:?}"),
        hint: None,
    })
}
