//! Logins, tokens and certificates.

use super::*;

#[tokio::test]
async fn a_login_opens_its_own_registry_and_is_sent_to_no_mirror() {
    let guarded = |request: &Request, reply: Reply| match request.header("authorization") {
        Some("Basic bWU6c2VjcmV0") => reply,
        _ => Reply::status(401).with("WWW-Authenticate", "Basic realm=\"x\""),
    };
    let server = world().serve(guarded).await;
    let host = server.url.replace("http://", "");
    let access = RegistryAccess {
        login: Some(Login::new("me", "secret")),
        transport: Transport::Http,
        certs_dir: None,
    };
    let mut case = Case::at(&server.url);
    case.options.mirrors = Mirrors::default();
    case.options.access = BTreeMap::from([(host.clone(), access.clone())]);
    let own = format!("{host}/single:v1");
    let copied = case.copy(&[own.as_str()], &[Arch::Amd64]).await.unwrap();
    assert_eq!(copied[0].entry.reference, own);

    let mut case = Case::at(&server.url);
    case.options.access = BTreeMap::from([("registry.k8s.io".to_owned(), access)]);
    let said = case
        .refused(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/single:v1: HOST/single does not let this be pulled without a login
      hint: it may be private or not exist: check the name, or give user and password under spec.registry.auths["HOST"]
    "#);

    let mut case = Case::at(&format!("http://me:secret@{host}"));
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.options.mirrors = mirrors(&format!("http://me:wrong-secret@{host}"));
    let said = case.refused(&["registry.k8s.io/pause:3.10"], BOTH).await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/pause:3.10: HOST/pause does not let this be pulled with this login
      hint: check name, user and password under spec.registry.auths["HOST"], or in the mirror's address
    "#);
    assert!(!format!("{:?}", case.seen.all()).contains("secret"));
}

#[tokio::test]
async fn two_mirrors_at_one_host_have_each_its_own_login() {
    let world = world();
    let server = Server::start(move |request| {
        let login = request.header("authorization");
        let right = [
            ("/v2/one/", "Basic b25lOjE="),
            ("/v2/two/", "Basic dHdvOjI="),
        ];
        for (below, right) in right {
            if let Some(path) = request.path.strip_prefix(below) {
                let mut plain = request.clone();
                plain.path = format!("/v2/{path}");
                return match login {
                    Some(login) if login == right => world.answer(&plain),
                    _ => Reply::status(401).with("WWW-Authenticate", "Basic realm=\"x\""),
                };
            }
        }
        match login {
            Some(_) => Reply::ok("{}"),
            None => Reply::status(401).with("WWW-Authenticate", "Basic realm=\"x\""),
        }
    })
    .await;
    let host = server.url.replace("http://", "");
    let mut case = Case::at(&server.url);
    let settings = [
        format!("registry.k8s.io=http://one:1@{host}/one"),
        format!("quay.io=http://two:2@{host}/two"),
    ];
    case.options.mirrors = Mirrors::parse(settings.iter().map(String::as_str)).unwrap();
    let both = ["registry.k8s.io/single:v1", "quay.io/single:v1"];
    case.copy(&both, &[Arch::Amd64]).await.unwrap();
}

#[tokio::test]
async fn a_token_is_fetched_where_the_registry_points() {
    let tokens = Server::start(|request| {
        if request.path.contains("scope=repository%3Asingle%3Apull") {
            Reply::ok(r#"{"token":"t0ken"}"#)
        } else {
            Reply::status(400)
        }
    })
    .await;
    let realm = format!("Bearer realm=\"{}/token\",service=\"x\"", tokens.url);
    let server = world()
        .serve(
            move |request, reply| match request.header("authorization") {
                Some("Bearer t0ken") => reply,
                _ => Reply::status(401).with("WWW-Authenticate", realm.clone()),
            },
        )
        .await;
    let case = Case::at(&server.url);
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
}

#[tokio::test]
async fn a_token_server_that_refuses_is_quoted() {
    let tokens = Server::start(|_| Reply::status(401).body("incorrect username or password")).await;
    let realm = format!("Bearer realm=\"{}/token\"", tokens.url);
    let server = world()
        .serve(move |_, _| Reply::status(401).with("WWW-Authenticate", realm.clone()))
        .await;
    let host = server.url.replace("http://", "");
    let case = Case::at(&format!("http://me:secret@{host}"));
    let said = case.refused(&[PAUSE], BOTH).await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/pause:3.10: HOST/pause refuses the login: incorrect username or password
      hint: check name, user and password under spec.registry.auths["HOST"], or in the mirror's address
    "#);
}

#[tokio::test]
async fn a_registry_with_its_own_certificate_is_trusted_as_told() {
    let (registry, pem) = Registry::with_tls();
    world().push(&registry.url, "below").await;
    let case = || Case::at(&format!("{}/below", registry.url));
    let single = &["registry.k8s.io/single:v1"];
    let host = registry.url.replace("https://", "");

    let said = case().refused(single, &[Arch::Amd64]).await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/single:v1: the certificate of HOST/below/single is not trusted here: client error (Connect): invalid peer certificate: UnknownIssuer
      hint: give the CA that signed it under spec.registry.auths["HOST"].certsPath, add it to this machine's, or set spec.registry.auths["HOST"].skipTLSVerify
    "#);

    let mut trusting = case();
    let file = trusting.layout().with_file_name("ca.pem");
    std::fs::write(&file, &pem).unwrap();
    trusting.options.http.ca_file = Some(file);
    trusting.copy(single, &[Arch::Amd64]).await.unwrap();

    let mut told = case();
    let certs_dir = Utf8PathBuf::from_path_buf(told.dir.path().join("certs")).unwrap();
    std::fs::create_dir(&certs_dir).unwrap();
    std::fs::write(certs_dir.join("ca.crt"), &pem).unwrap();
    let own = RegistryAccess {
        certs_dir: Some(certs_dir),
        ..RegistryAccess::default()
    };
    told.options.access = BTreeMap::from([(host.clone(), own)]);
    told.copy(single, &[Arch::Amd64]).await.unwrap();

    let mut careless = case();
    let unverified = RegistryAccess {
        transport: Transport::Unverified,
        ..RegistryAccess::default()
    };
    careless.options.access = BTreeMap::from([(host, unverified)]);
    careless.copy(single, &[Arch::Amd64]).await.unwrap();
}
