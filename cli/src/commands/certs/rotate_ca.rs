use pipeline::{Authority, Rotation, Site};

use crate::act::Act;
use crate::args::{AuthorityArg, CertsRotateCaArgs};
use crate::confirm::Question;
use crate::error::Failure;
use crate::output::{Format, Printer};
use crate::site;

pub fn run(args: &CertsRotateCaArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.act.work_dir, printer)?;
    let asked: Vec<Authority> = args.authority.iter().map(|arg| authority(*arg)).collect();
    let goes_on = pipeline::under_way(&site)?.is_some();
    let rotation = pipeline::next_rotation(&site, &asked)?;
    let graph = pipeline::rotate(&site, &rotation)?;
    let looking = pipeline::certificates_look(&site)?;
    let told = told(&rotation, goes_on);
    if args.act.dry_run && printer.format() == Format::Text {
        printer.result(&told)?;
    }
    let act = Act {
        verb: "certs rotate-ca",
        site: &site,
        reached: &site.cluster,
        graph: &graph,
        looking: &looking,
        bundle: rotation.since.clone(),
    };
    act.carry_out(&args.act, printer, || {
        if args.yes {
            printer.remark(&told);
            return Ok(());
        }
        confirm(&site, &told, printer)
    })?;
    if !args.act.dry_run {
        printer.remark(
            "kubeconfigs that were handed out before are void if the authority of kubernetes was another: kubexm kubeconfig \
             makes new ones",
        );
    }
    Ok(())
}

fn authority(arg: AuthorityArg) -> Authority {
    match arg {
        AuthorityArg::Kubernetes => Authority::Kubernetes,
        AuthorityArg::FrontProxy => Authority::FrontProxy,
        AuthorityArg::ServiceAccounts => Authority::ServiceAccounts,
        AuthorityArg::Etcd => Authority::Etcd,
        AuthorityArg::Registry => Authority::Registry,
    }
}

/// Where it stands, and what the moves are.
fn told(rotation: &Rotation, goes_on: bool) -> String {
    let verb = if goes_on { "goes on" } else { "begins" };
    format!(
        "{} {verb}\n  1 trust: all hosts and pods trust the new authority beside the old one, which still signs\n  \
         2 issue: everything is signed by the new one\n  3 drop: nobody trusts the old one any more\n\
         Each move: files, etcd, load balancers, the masters one by one, the kubelets, the pods that ask the apiservers; then \
         the cluster is checked.",
        pipeline::told_of_rotation(rotation)
    )
}

fn confirm(site: &Site, told: &str, printer: &Printer) -> Result<(), Failure> {
    let name = site.cluster.name();
    Question {
        what: format!("authorities of {name} shall be replaced"),
        told: format!(
            "{told}\nWorkloads whose pods may ask the apiservers are started anew, each by its own strategy.\nType the cluster's \
             name to go on:"
        ),
        word: name,
        of: "the cluster's name",
    }
    .ask(printer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_where_it_stands() {
        let rotation = Rotation {
            since: "2026-11-30T12:00:00Z".to_owned(),
            of: vec![Authority::Kubernetes, Authority::Etcd],
            from: pipeline::Move::Issue,
        };
        insta::assert_snapshot!(told(&rotation, true), @r"
        kubernetes, etcd: move 2 of 3 (issue) goes on
          1 trust: all hosts and pods trust the new authority beside the old one, which still signs
          2 issue: everything is signed by the new one
          3 drop: nobody trusts the old one any more
        Each move: files, etcd, load balancers, the masters one by one, the kubelets, the pods that ask the apiservers; then the cluster is checked.
        ");
    }
}
