use crate::args::BundleArgs;
use crate::error::Failure;
use crate::output::Printer;

pub fn run(args: &BundleArgs, _: &Printer) -> Result<(), Failure> {
    Err(Failure::Usage {
        message: format!("bundle does not act yet: {args:?}"),
        hint: None,
    })
}
