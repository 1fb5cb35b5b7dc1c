use std::fs;

use artifact::{Tree, WorkDir};
use cluster::{Cluster, Role};
use pipeline::{Data, Departure, Graph, Parting, Reach, Site, delete_nodes};

use crate::act::Act;
use crate::args::{DeleteNodeArgs, RoleArg};
use crate::confirm::Question;
use crate::error::Failure;
use crate::output::Printer;
use crate::{config, dry, site};

const NO_MANIFEST: &str =
    "give the --work-dir that the cluster was installed from; kubexm adopt makes it again";

pub fn run(args: &DeleteNodeArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let given = config.parsed.cluster;
    let tree = WorkDir::new(&args.act.work_dir).tree(given.name());
    let (contents, digest) = site::described(&given, &args.act.work_dir, NO_MANIFEST)?;
    let known = site::site(given.clone(), contents.clone(), &args.act.work_dir)?;
    let applied = site::applied(&known, printer);
    let applied = applied.as_ref().map_or(&given, |site| &site.cluster);
    let departure = departure(args);
    let Parting { before, after } = departure.of(applied, &given, &taken_out(&tree, args))?;
    let before = Site::new(before, contents.clone(), tree, None);
    let after = site::site(after, contents, &args.act.work_dir)?;
    let graph = delete_nodes(&before, &after, &departure)?;
    let reached = match departure.reach {
        Reach::Alive => &before.cluster,
        Reach::Dead => &after.cluster,
    };
    let looking = pipeline::recognise(&after, departure.data)?;
    let act = Act {
        verb: "delete node",
        site: &after,
        reached,
        graph: &graph,
        looking: &looking,
        bundle: digest.to_string(),
    };
    act.carry_out(&args.act, printer, || {
        if args.yes {
            return Ok(());
        }
        confirm(args, &graph, printer)
    })?;
    if let Some(still) = still_there(args, &given) {
        printer.warning(format_args!(
            "take out of {}, or the next install adds it again: {still}",
            config.name
        ));
    }
    Ok(())
}

fn departure(args: &DeleteNodeArgs) -> Departure {
    let role = |role: &RoleArg| match role {
        RoleArg::Etcd => Role::Etcd,
        RoleArg::Master => Role::Master,
        RoleArg::Worker => Role::Worker,
    };
    Departure {
        hosts: args.names.clone(),
        roles: args.role.iter().map(role).collect(),
        reach: if args.fate.dead {
            Reach::Dead
        } else {
            Reach::Alive
        },
        data: if args.fate.keep_data {
            Data::Keep
        } else {
            Data::Purge
        },
        drain_timeout: args.drain.drain_timeout,
        local: args.drain.local(),
    }
}

/// The configs from which these hosts were taken out while they were down.
fn taken_out(tree: &Tree, args: &DeleteNodeArgs) -> Vec<(String, Cluster)> {
    let read = |name: &String| {
        let path = tree.taken_out(name);
        let text = fs::read_to_string(&path).ok()?;
        let parsed = cluster::parse(path.as_str(), &text).ok()?;
        Some((name.clone(), parsed.cluster))
    };
    args.names.iter().filter_map(read).collect()
}

fn confirm(args: &DeleteNodeArgs, graph: &Graph, printer: &Printer) -> Result<(), Failure> {
    let names = args.names.join(" ");
    let fate = if args.fate.dead {
        "nothing is sent there"
    } else if args.fate.keep_data {
        "data on it stays"
    } else {
        "data of the cluster on it is lost for good"
    };
    Question {
        what: format!("{names} shall be taken out"),
        told: format!(
            "{}\n{names}: {fate}.\nType the names as above to go on:",
            dry::tree(graph)
        ),
        word: &names,
        of: "what was asked for",
    }
    .ask(printer)
}

/// Where the config still has what has gone.
fn still_there(args: &DeleteNodeArgs, given: &Cluster) -> Option<String> {
    let asked = departure(args).roles;
    let mut places = Vec::new();
    for name in &args.names {
        let roles = given.roles_of(name).into_iter();
        let roles = roles.filter(|role| asked.is_empty() || asked.contains(role));
        let mut keys: Vec<String> = roles
            .map(|role| format!("spec.roleGroups.{}", role.key()))
            .collect();
        if asked.is_empty() && given.host(name).is_some() {
            keys.insert(0, "spec.hosts".to_owned());
        }
        if !keys.is_empty() {
            places.push(format!("{name} ({})", keys.join(", ")));
        }
    }
    (!places.is_empty()).then(|| places.join("; "))
}
