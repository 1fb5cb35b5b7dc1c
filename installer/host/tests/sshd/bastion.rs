use std::sync::Arc;

use host::ssh::{HostKeys, Options, SshHost, Target, UnknownHost};
use host::{Command, Host, HostError, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::lab::{Sshd, free_port, key_auth};

fn strangers() -> HostKeys {
    HostKeys {
        known_hosts: Vec::new(),
        unknown: UnknownHost::Refuse,
    }
}

fn behind(inner: &Sshd, keys: HostKeys, bastion: SshHost) -> SshHost {
    let login = inner.path("login");
    inner.authorize(&login);
    let target = Target {
        bastion: Some(Arc::new(bastion)),
        ..inner.target("root", vec![key_auth(&login, None)])
    };
    SshHost::new(target, keys, Options::default())
}

async fn enter(host: &SshHost) -> Result<String, HostError> {
    Ok(host
        .run(&Command::script("echo $SSH_CONNECTION"))
        .await?
        .text())
}

#[tokio::test]
async fn a_bastion_leads_to_the_host() {
    let (outer, inner) = (Sshd::start(""), Sshd::start(""));
    let host = behind(&inner, inner.keys(), outer.root());
    let connection = enter(&host).await.unwrap();
    assert!(
        connection.ends_with(&inner.port.to_string()),
        "{connection}"
    );
}

#[tokio::test]
async fn bastions_lead_to_bastions() {
    let (first, second, inner) = (Sshd::start(""), Sshd::start(""), Sshd::start(""));
    let host = behind(
        &inner,
        inner.keys(),
        behind(&second, second.keys(), first.root()),
    );
    enter(&host).await.unwrap();
}

#[tokio::test]
async fn both_hops_are_verified() {
    let (outer, inner) = (Sshd::start(""), Sshd::start(""));
    let error = enter(&behind(&inner, strangers(), outer.root()))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, HostError::UnknownHostKey { address, .. } if address.ends_with(&inner.port.to_string()))
    );
    let stranger = SshHost::new(
        outer.target("root", Vec::new()),
        strangers(),
        Options::default(),
    );
    let error = enter(&behind(&inner, inner.keys(), stranger))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, HostError::UnknownHostKey { address, .. } if address.ends_with(&outer.port.to_string()))
    );
}

#[tokio::test]
async fn a_bastion_that_does_not_lead_there_is_named() {
    let (outer, inner) = (Sshd::start("AllowTcpForwarding no"), Sshd::start(""));
    let golden = |error: HostError| {
        inner
            .golden(&error, "root")
            .replace(&outer.port.to_string(), "BASTION")
    };
    let error = enter(&behind(&inner, inner.keys(), outer.root()))
        .await
        .unwrap_err();
    insta::assert_snapshot!(golden(error), @r"
    cannot reach 127.0.0.1:PORT: the bastion 127.0.0.1:BASTION forbids it (AllowTcpForwarding of its sshd)
    hint: is the host up, and are `address` and `port` right?
    ");
    let outer = Sshd::start("");
    let golden = |error: HostError| {
        inner
            .golden(&error, "root")
            .replace(&outer.port.to_string(), "BASTION")
    };
    let port = free_port();
    let target = Target {
        port,
        bastion: Some(Arc::new(outer.root())),
        ..inner.target("root", Vec::new())
    };
    let error = enter(&SshHost::new(target, inner.keys(), Options::default()))
        .await
        .unwrap_err();
    insta::assert_snapshot!(golden(error).replace(&port.to_string(), "PORT"), @r"
    cannot reach 127.0.0.1:PORT: the bastion 127.0.0.1:BASTION cannot connect to it
    hint: is the host up, and are `address` and `port` right?
    ");
}

#[tokio::test]
async fn a_host_that_gives_its_bastion_no_answer_is_not_waited_for() {
    let (outer, inner) = (Sshd::start(""), Sshd::start(""));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(0).unwrap();
    let address = silent.local_addr().unwrap();
    // Whoever comes behind these finds no room in its queue, and gets no answer.
    let first = TcpStream::connect(address).await.unwrap();
    let impatient = Options {
        connect_timeout: std::time::Duration::from_secs(1),
        ..Options::default()
    };
    let bastion = SshHost::new(outer.root_target(), outer.keys(), impatient);
    let target = Target {
        port: address.port(),
        bastion: Some(Arc::new(bastion)),
        ..inner.target("root", Vec::new())
    };
    let host = SshHost::new(target, inner.keys(), Options::default());
    let said = enter(&host).await.unwrap_err().to_string();
    assert!(said.ends_with("got no answer within 1 s"), "{said}");
    drop(first);
}

#[tokio::test]
async fn a_bastion_that_comes_back_leads_there_again() {
    let (mut outer, inner) = (Sshd::start(""), Sshd::start(""));
    let host = behind(&inner, inner.keys(), outer.root());
    enter(&host).await.unwrap();
    outer.kill();
    outer.start_again(&["ed25519"], "");
    crate::lab::eventually(async || enter(&host).await).await;
}

#[tokio::test]
async fn a_port_of_a_host_behind_a_bastion_is_reached_through_it() {
    let (outer, inner) = (Sshd::start(""), Sshd::start(""));
    let host = behind(&inner, inner.keys(), outer.root());
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let Way::Through(forward) = host.way_to(port).await.unwrap() else {
        panic!("a bastion stands before it")
    };
    for question in ["first", "second"] {
        let mut stream = TcpStream::connect(forward.here()).await.unwrap();
        let (mut served, _) = service.accept().await.unwrap();
        stream.write_all(question.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = String::new();
        served.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, question);
        served.write_all(b"answer").await.unwrap();
        drop(served);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    }
    let here = forward.here();
    drop(forward);
    // The listener goes with its task.
    tokio::task::yield_now().await;
    assert!(TcpStream::connect(here).await.is_err());
}

#[tokio::test]
async fn a_port_that_the_bastion_does_not_reach_is_explained() {
    let (outer, inner) = (Sshd::start(""), Sshd::start(""));
    let host = behind(&inner, inner.keys(), outer.root());
    let nobody = free_port();
    let Way::Through(forward) = host.way_to(nobody).await.unwrap() else {
        panic!("a bastion stands before it")
    };
    let mut stream = TcpStream::connect(forward.here()).await.unwrap();
    let mut nothing = Vec::new();
    let _ = stream.read_to_end(&mut nothing).await;
    let fault = forward.fault().unwrap().to_string();
    let expected = format!("cannot reach 127.0.0.1:{nobody}: the bastion");
    assert!(fault.starts_with(&expected), "{fault}");
    assert!(fault.ends_with("cannot connect to it"), "{fault}");
}

#[tokio::test]
async fn without_a_bastion_the_way_is_direct() {
    let host = Sshd::start("").root();
    assert!(matches!(host.way_to(1).await.unwrap(), Way::Direct));
}
