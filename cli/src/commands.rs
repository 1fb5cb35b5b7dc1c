//! One file per verb: hands the arguments to the room that knows, and its answer to the printer.

mod add_nodes;
mod adopt;
mod arrive;
mod bundle;
mod certs;
mod check;
mod completion;
mod config;
mod create;
mod delete;
mod delete_node;
mod depart;
mod diff;
mod etcd;
mod explain;
mod extract;
mod get;
mod get_hosts;
mod get_inventory;
mod get_journeys;
mod help;
mod images;
mod inspect;
mod install;
mod kubeconfig;
mod man;
mod plan;
mod repair;
mod report;
mod restart;
mod serve;
mod upgrade;
mod verify;
mod version;

use crate::args::{AddCommand, Command, CreateCommand, DeleteCommand, UpgradeCommand};
use crate::error::Failure;
use crate::output::Printer;

/// Does what was asked for.
pub fn run(command: Command, printer: &Printer) -> Result<(), Failure> {
    match command {
        Command::Bundle(args) => bundle::run(&args, printer),
        Command::Inspect(args) => inspect::run(&args, printer),
        Command::Verify(args) => verify::run(&args, printer),
        Command::Diff(args) => diff::run(&args, printer),
        Command::Extract(args) => extract::run(&args, printer),
        Command::Depart(args) => depart::run(&args, printer),
        Command::Arrive(args) => arrive::run(&args, printer),
        Command::Repair(args) => repair::run(&args, printer),
        Command::Serve(args) => serve::run(&args, printer),
        Command::Install(args) => install::run(&args, printer),
        Command::Plan(args) => plan::run(&args, printer),
        Command::Create(args) => match args.command {
            CreateCommand::Cluster(args) => create::run(&args, printer),
        },
        Command::Add(args) => match args.command {
            AddCommand::Nodes(args) => add_nodes::run(&args, printer),
        },
        Command::Upgrade(args) => match args.command {
            UpgradeCommand::Cluster(args) => upgrade::run(&args, printer),
        },
        Command::Delete(args) => match args.command {
            DeleteCommand::Cluster(args) => delete::run(&args, printer),
            DeleteCommand::Node(args) => delete_node::run(&args, printer),
        },
        Command::Restart(args) => restart::run(&args, printer),
        Command::Adopt(args) => adopt::run(&args, printer),
        Command::Check(args) => check::run(&args, printer),
        Command::Certs(args) => certs::run(&args.command, printer),
        Command::Etcd(args) => etcd::run(&args.command, printer),
        Command::Report(args) => report::run(&args, printer),
        Command::Get(args) => get::run(&args.command, printer),
        Command::Images(args) => images::run(&args.command, printer),
        Command::Kubeconfig(args) => kubeconfig::run(&args, printer),
        Command::Config(args) => config::run(&args.command, printer),
        Command::Completion { shell } => completion::run(shell, printer),
        Command::Man { dir } => man::run(&dir),
        Command::Help { verb } => help::run(&verb, printer),
        Command::Version => version::run(printer),
    }
}
