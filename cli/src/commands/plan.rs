use crate::args::PlanArgs;
use crate::error::Failure;
use crate::output::Printer;

pub fn run(args: &PlanArgs, _: &Printer) -> Result<(), Failure> {
    Err(Failure::Usage {
        message: format!("plan does not act yet: {args:?}"),
        hint: None,
    })
}
