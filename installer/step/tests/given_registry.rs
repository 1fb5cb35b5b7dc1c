//! A registry that was there before: the real one with tokens, with another authority and a prefix, and a stand-in that answers as
//! Harbor does.

mod common;

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use common::layout::{Layout, two_images};
use common::site::Site;
use common::tokens::{TokenRegistry, Worth};
use common::{converge, operator, said, told};
use engine::{Question, Slot, Step};
use secrecy::SecretString;
use step::{
    AskRegistry, GatherTrust, Keeper, LearnLogin, LoginManner, PushImages, RegistryCredentials,
    RegistryLogin, SiteNames, SiteRegistry, Trust,
};
use tempfile::TempDir;
use wiremock::matchers::{basic_auth, header_exists, method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn account(username: &str, password: &str) -> RegistryCredentials {
    RegistryCredentials {
        username: username.to_owned(),
        password: SecretString::from(password),
    }
}

fn push(at: SiteRegistry, login: Option<RegistryCredentials>, layout: &Layout) -> PushImages {
    let (login, pushed) = (RegistryLogin::Given(login), Slot::new("pushed"));
    PushImages::new(at, login, layout.dir(), two_images(layout), pushed)
}

fn given(url: String, trust: Trust, namespace: Option<&str>) -> SiteRegistry {
    SiteRegistry {
        url,
        at: Vec::new(),
        trust,
        names: SiteNames {
            authority: "hub.corp:5000".into(),
            namespace: namespace.map(Into::into),
        },
        keeper: Keeper::Others,
    }
}

fn ask(site: SiteRegistry, push: Option<RegistryCredentials>, at: &str) -> AskRegistry {
    AskRegistry {
        site,
        push,
        pull: None,
        repositories: vec![at.to_owned()],
    }
}

async fn refusal(question: &AskRegistry, address: &str) -> String {
    let error = Question::check(question, &operator()).await.unwrap_err();
    told(&error).replace(address, "[registry]")
}

#[tokio::test]
async fn a_registry_that_wants_tokens_gets_them() {
    let registry = TokenRegistry::new(Worth::Whole).await;
    let temp = TempDir::new().unwrap();
    let layout = Layout::new(Utf8Path::from_path(temp.path()).unwrap());
    let at = given(registry.url(), Trust::System, None);
    let pusher = Some(account("pusher", "p:w% d"));
    let pushing = push(at.clone(), pusher.clone(), &layout);
    assert_eq!(
        converge(&pushing).await.unwrap().unwrap(),
        "the registry lacks registry.k8s.io/pause:3.10 and 1 more"
    );
    assert_eq!(converge(&pushing).await.unwrap(), None);
    // The layer that both share went once.
    assert_eq!(registry.uploads(), 5);

    let manner = Slot::new("manner");
    let learn = LearnLogin {
        site: at.clone(),
        login: Some(account("reader", "secret")),
        manner: manner.clone(),
    };
    Question::check(&learn, &operator()).await.unwrap();
    assert_eq!(manner.get(), Some(&LoginManner::Token));

    let mut both = ask(at.clone(), pusher, "registry.k8s.io/pause");
    both.pull = Some(account("reader", "secret"));
    Question::check(&both, &operator()).await.unwrap();
    both.pull = Some(account("reader", "wrong"));
    let wrong = refusal(&both, &registry.address()).await;
    insta::assert_snapshot!(wrong.replace(&registry.giver(), "[giver]"), @r"
    the account 'reader', for nodes: the registry [registry] refused the login: [giver]/token gives no token
    hint: username and password stand in registry.auths, under the registry's name
    ");
    let reads = ask(at.clone(), Some(account("reader", "secret")), "a/b");
    insta::assert_snapshot!(refusal(&reads, &registry.address()).await, @r"
    the registry [registry] does not allow sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 of a/b to be pushed: authentication required
    hint: the user needs the right to push
    ");
    let nobody = ask(at, None, "a/b");
    let nobody = refusal(&nobody, &registry.address()).await;
    assert!(nobody.contains("refused the login"), "{nobody}");
}

#[tokio::test]
async fn a_token_that_has_ended_is_asked_for_anew() {
    let registry = TokenRegistry::new(Worth::TheFirstHasEnded).await;
    let temp = TempDir::new().unwrap();
    let layout = Layout::new(Utf8Path::from_path(temp.path()).unwrap());
    let at = given(registry.url(), Trust::System, None);
    let pushing = push(at, Some(account("pusher", "p:w% d")), &layout);
    converge(&pushing).await.unwrap().unwrap();
    assert_eq!(registry.uploads(), 5);
}

#[tokio::test]
async fn one_with_another_authority_takes_images_under_its_prefix() {
    let site = Site::new().await;
    let layout = Layout::new(site.dir().join("images"));
    let url = site.registry().url;
    let folder = site.dir().join("certs.d");
    let login = || site.credentials.get().cloned();
    let with = |trust| {
        push(
            given(url.clone(), trust, Some("team/kubexm")),
            login(),
            &layout,
        )
    };
    let fails = async |trust| {
        let error = with(trust).check(&operator()).await.unwrap_err();
        told(&error)
            .replace(&site.port.to_string(), "[port]")
            .replace(site.dir().as_str(), "[tree]")
    };
    insta::assert_snapshot!(fails(Trust::Folder(folder.clone())).await, @r"
    cannot read [tree]/certs.d: No such file or directory (os error 2)
    hint: put the registry's authority there as a *.crt, or correct certsPath in registry.auths
    ");
    fs::create_dir(&folder).unwrap();
    insta::assert_snapshot!(fails(Trust::Folder(folder.clone())).await, @r"
    there is no *.crt in [tree]/certs.d
    hint: put the registry's authority there, or take certsPath out of registry.auths
    ");
    let untrusted = fails(Trust::System).await;
    assert!(untrusted.contains("is not trusted"), "{untrusted}");

    fs::copy(site.ca().certificate(), folder.join("ca.crt")).unwrap();
    converge(&with(Trust::Folder(folder.clone())))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(converge(&with(Trust::Unchecked)).await.unwrap(), None);
    let at = format!(
        "docker://127.0.0.1:{}/team/kubexm/docker.io/library/nginx:1.29",
        site.port
    );
    let login = site.login();
    let inspect = [
        "skopeo",
        "inspect",
        "--raw",
        "--creds",
        &login,
        "--cert-dir",
    ];
    said(inspect.into_iter().chain([folder.as_str(), at.as_str()]));

    // What it keeps is not kubexm's to remove.
    let damaged = two_images(&layout)[0].digest;
    fs::write(site.content(damaged), "").unwrap();
    let again = with(Trust::Unchecked);
    let error = again.apply(&operator()).await.unwrap_err();
    insta::assert_snapshot!(told(&error).replace(&damaged.oci(), "[digest]"), @r"
    [digest] is damaged in the registry hub.corp:5000, and kubexm is not its keeper
    hint: its administrator has to remove that content there; then run again
    ");
}

#[tokio::test]
async fn the_authorities_of_a_registry_are_kept_for_who_has_no_such_folder() {
    let temp = TempDir::new().unwrap();
    let dir = Utf8PathBuf::from_path_buf(temp.path().to_owned()).unwrap();
    let (folder, to) = (dir.join("certs.d"), dir.join("kept.crt"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("b.crt"), "two").unwrap();
    fs::write(folder.join("a.crt"), "one\n").unwrap();
    fs::write(folder.join("a.key"), "no").unwrap();
    let gather = GatherTrust {
        folder: folder.clone(),
        to: to.clone(),
    };
    let why = converge(&gather).await.unwrap().unwrap();
    assert_eq!(why, "they are not kept yet");
    assert_eq!(fs::read_to_string(&to).unwrap(), "one\ntwo\n");
    fs::write(folder.join("b.crt"), "three\n").unwrap();
    let why = converge(&gather).await.unwrap().unwrap();
    assert_eq!(why, "they are others now");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(converge(&gather).await.unwrap(), None);
    fs::remove_file(&to).unwrap();
    assert!(gather.check(&operator()).await.is_err());
}

/// Answers as Harbor 2.x does to whoever sends a login with each request: of its one project `kubexm` the account `pusher` may push and
/// `reader` may not, and no other project is there.
async fn stand_in_for_harbor() -> MockServer {
    let server = MockServer::start().await;
    let refused = |message: &str| {
        let body = format!(r#"{{"errors":[{{"code":"UNAUTHORIZED","message":"{message}"}}]}}"#);
        ResponseTemplate::new(401)
            .insert_header("www-authenticate", r#"Basic realm="harbor""#)
            .set_body_string(body)
    };
    let begun = ResponseTemplate::new(202).insert_header(
        "location",
        format!(
            "{}/v2/kubexm/docker.io/library/nginx/blobs/uploads/1",
            server.uri()
        ),
    );
    for (name, secret) in [("pusher", "right"), ("reader", "right")] {
        Mock::given(method("GET"))
            .and(path_regex("^/v2/$"))
            .and(basic_auth(name, secret))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
    }
    Mock::given(path_regex("^/v2/kubexm/.*"))
        .and(method("POST"))
        .and(basic_auth("pusher", "right"))
        .respond_with(begun)
        .mount(&server)
        .await;
    Mock::given(path_regex("^/v2/kubexm/.*"))
        .and(method("DELETE"))
        .and(basic_auth("pusher", "right"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path_regex("^/v2/kubexm/.*"))
        .and(method("POST"))
        .and(basic_auth("reader", "right"))
        .respond_with(refused(
            "unauthorized to access repository: kubexm/docker.io/library/nginx, action: push",
        ))
        .mount(&server)
        .await;
    Mock::given(path_regex("^/v2/nowhere/.*"))
        .and(header_exists("authorization"))
        .respond_with(refused("project nowhere not found"))
        .mount(&server)
        .await;
    Mock::given(path_regex("^/v2/.*"))
        .respond_with(refused("unauthorized"))
        .with_priority(10)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn what_harbor_refuses_becomes_a_sentence() {
    let server = stand_in_for_harbor().await;
    let address = server.address().to_string();
    let of = |login, at: &str| ask(given(server.uri(), Trust::System, None), login, at);
    let nginx = "kubexm/docker.io/library/nginx";
    // Nothing stays of the question: the upload is given up.
    let well = of(Some(account("pusher", "right")), nginx);
    Question::check(&well, &operator()).await.unwrap();

    let asked = [
        of(Some(account("pusher", "right")), "nowhere/nginx"),
        of(Some(account("reader", "right")), nginx),
        of(Some(account("pusher", "wrong")), nginx),
        of(None, nginx),
    ];
    let mut sentences = Vec::new();
    for question in &asked {
        let sentence = refusal(question, &address).await;
        sentences.push(sentence.replace(
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 of ",
            "",
        ));
    }
    insta::assert_snapshot!(sentences.join("\n"), @r"
    the registry [registry] has no project for nowhere/nginx: project nowhere not found
    hint: kubexm makes no projects: create it in the registry, or name one that is there in registry.namespaceOverride
    the registry [registry] does not allow kubexm/docker.io/library/nginx to be pushed: unauthorized to access repository: kubexm/docker.io/library/nginx, action: push
    hint: the user needs the right to push
    the registry [registry] refused the login: unauthorized
    hint: username and password stand in registry.auths, under the registry's name
    the registry [registry] refused the login: unauthorized
    hint: username and password stand in registry.auths, under the registry's name
    ");
}

/// Whoever answers for a registry with TLS cannot have logins sent in the clear.
#[tokio::test]
async fn a_login_goes_to_no_realm_without_tls() {
    let site = Site::with_auth("{ token: { realm: 'http://127.0.0.1:1/token', service: hub, issuer: hub, rootcertbundle: {dir}/certs/ca.crt } }").await;
    let trust = Trust::File(site.ca().certificate());
    let question = ask(
        given(site.registry().url, trust, None),
        Some(account("pusher", "secret")),
        "a/b",
    );
    let error = Question::check(&question, &operator()).await.unwrap_err();
    insta::assert_snapshot!(told(&error).replace(&site.port.to_string(), "[port]"), @r"
    the registry 127.0.0.1:[port] sends logins to http://127.0.0.1:1/token: it has no TLS, and the registry has
    hint: a login goes to no address without TLS; the registry's administrator can say which address gives its tokens
    ");
}
