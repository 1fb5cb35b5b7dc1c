use pipeline::{Data, Draining, LocalData, Part, Restarting};

use crate::act::Act;
use crate::args::{PartArg, RestartArgs};
use crate::error::Failure;
use crate::output::Printer;
use crate::{config, site};

const NO_BUNDLE: &str =
    "kubexm install unpacks a bundle; --work-dir names the directory that it was given";

pub fn run(args: &RestartArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let (contents, digest) = site::described(&cluster, &args.act.work_dir, NO_BUNDLE)?;
    let site = site::site(cluster, contents, &args.act.work_dir)?;
    let before = site::must_be_applied(&site, printer)?;
    let graph = pipeline::restart(&site, &before, part(args.part), &args.names, how(args))?;
    let looking = pipeline::recognise(&site, Data::Keep)?;
    let act = Act {
        verb: "restart",
        site: &site,
        reached: &site.cluster,
        graph: &graph,
        looking: &looking,
        bundle: digest.to_string(),
    };
    act.carry_out(&args.act, printer, || Ok(()))
}

fn part(arg: PartArg) -> Part {
    match arg {
        PartArg::Cluster => Part::Cluster,
        PartArg::Etcd => Part::Etcd,
        PartArg::ControlPlane => Part::ControlPlane,
        PartArg::Nodes => Part::Nodes,
    }
}

fn how(args: &RestartArgs) -> Restarting {
    if !args.reboot {
        return Restarting::Services;
    }
    Restarting::Hosts(Draining {
        timeout: args.drain.drain_timeout,
        local: match args.drain.local() {
            LocalData::Lose => LocalData::Lose,
            LocalData::Refuse | LocalData::RefuseFleeting => LocalData::RefuseFleeting,
        },
    })
}
