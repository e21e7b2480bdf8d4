//! Commands against a core with TLS and tokens.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::{Finished, Tollkeeper};

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// CA, certificate and key, in files.
fn certificates(folder: &Path) -> [PathBuf; 3] {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let ca = params.self_signed(&key).expect("signed").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &issuer).expect("signed").pem();
    [
        write(folder, "ca.pem", &ca),
        write(folder, "core.pem", &certificate),
        write(folder, "core.key", &key.serialize_pem()),
    ]
}

#[test]
fn commands_show_certificate_and_token() {
    let folder = tempfile::tempdir().expect("a directory");
    let [ca, certificate, key] = certificates(folder.path());
    let agent = write(folder.path(), "agent.token", "agent-agent-agent-1\n");
    let operator = write(folder.path(), "operator.token", "operator-operator-1\n");
    let core = format!(
        "tls = {{ certificate = {certificate:?}, key = {key:?}, client_ca = {ca:?} }}\n\
         token = [{{ name = \"a\", role = \"agent\", file = {agent:?} }}, {{ name = \"o\", role = \"operator\", file = {operator:?} }}]\n"
    );
    let tollkeeper = Tollkeeper::start_with("", &core);
    let address = tollkeeper.core().replace("http://127.0.0.1", "https://localhost");
    let with = |token: Option<&PathBuf>, args: &[&str]| -> Finished {
        let text = |path: &PathBuf| path.to_str().expect("text").to_owned();
        let mut all = vec!["--core".to_owned(), address.clone(), "--ca".into(), text(&ca)];
        all.extend(["--certificate".into(), text(&certificate), "--key".into(), text(&key)]);
        all.extend(token.into_iter().flat_map(|token| ["--token-file".to_owned(), text(token)]));
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        tollkeeper.cli(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    with(Some(&operator), &["account", "create", "alice", "--balance", "1"]).ok();
    let stolen = with(Some(&agent), &["account", "topup", "alice", "5"]);
    assert!(stolen.code == Some(1) && stolen.err.contains("role agent, which may not call"), "{stolen:?}");
    let bare = with(None, &["account", "show", "alice"]);
    assert!(bare.code == Some(1) && bare.err.contains("--token-file or TOLLKEEPER_TOKEN_FILE"), "{bare:?}");
    let shown = with(Some(&operator), &["account", "show", "alice", "--json"]).json();
    assert_eq!(shown[0]["balance"], "1");
    let ca = ca.to_str().expect("text");
    let stranger = tollkeeper.cli(&["--core", &address, "--ca", ca, "account", "show", "alice"]);
    assert!(stranger.code == Some(1) && stranger.err.contains("--certificate and --key"), "{stranger:?}");
    let no_ca = tollkeeper.cli(&["--core", &address, "account", "list"]);
    assert!(no_ca.code == Some(64) && no_ca.err.contains("ca is needed"), "{no_ca:?}");
}
