//! What a tree holds in truth, for whoever makes the next bundle.

use artifact::{BundleError, Contents, Inventory, Taking, WorkDir};
use event::Outcome;

use crate::args::TreeArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::piece::Piece;
use crate::{config, runtime, signals};

pub fn run(args: &TreeArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster.name();
    let tree = WorkDir::new(&args.work_dir).tree(cluster);
    if !tree.root().is_dir() {
        return Err(Failure::Usage {
            message: format!(
                "nothing has been unpacked for {cluster}: there is no {}",
                tree.root()
            ),
            hint: Some("--work-dir names the directory that kubexm install was given".to_owned()),
        });
    }
    let events = printer.work();
    let runtime = runtime::start()?;
    let cancel = signals::cancel(&runtime, &events)?;
    let piece = Piece {
        stage: "inventory",
        title: tree.root().to_string(),
        bytes: Contents::of_tree(&tree).map_or(0, |(contents, _)| contents.content_size()),
    };
    let inventory = piece.run(
        &events,
        |progress| {
            let taking = Taking {
                jobs: runtime::threads(),
                progress,
                cancel: &cancel,
            };
            Inventory::of_tree(&tree, cluster, taking)
        },
        |result| match result {
            Ok(_) => Outcome::Satisfied,
            Err(BundleError::Cancelled) => Outcome::Interrupted,
            Err(error) => Outcome::Failed {
                error: error.to_string(),
                hint: error.hint(),
            },
        },
    )?;
    Ok(printer.json_bytes(&inventory.to_bytes())?)
}
