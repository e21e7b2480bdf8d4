//! freeDiameterd as a relay between Diameter clients and a server.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Process, free_tcp_port};

/// A running relay: dra.example.net, which checks every AVP against its dictionary.
#[derive(Debug)]
pub struct Freediameter {
    /// The process.
    pub process: Process,
    /// Where clients connect.
    pub port: u16,
}

impl Freediameter {
    /// In front of ocs.example.net at `server` on loopback; lets `clients` (Origin-Hosts) in.
    pub fn start(folder: &Path, server: u16, clients: &[&str]) -> anyhow::Result<Self> {
        Self::connecting(folder, clients, &format!("No_TLS; Port = {server};"), None)
    }

    /// As [`Freediameter::start`]. `connect`: how it connects, in its own words. `certificate`: its own, its key, and who signed
    /// it and the server's; absent: one is made.
    pub fn connecting(
        folder: &Path,
        clients: &[&str],
        connect: &str,
        certificate: Option<[&Path; 3]>,
    ) -> anyhow::Result<Self> {
        let port = free_tcp_port()?;
        let place = folder.join("relay");
        std::fs::create_dir_all(&place)?;
        let in_place = |name: &str| place.join(name).display().to_string();
        let [cert, key, authority] = match certificate {
            Some(files) => files.map(|file| file.display().to_string()),
            None => {
                // It wants a certificate also where it never uses one.
                let made = Command::new("openssl")
                    .args([
                        "req",
                        "-x509",
                        "-newkey",
                        "rsa:2048",
                        "-nodes",
                        "-days",
                        "2",
                        "-subj",
                        "/CN=dra.example.net",
                    ])
                    .args(["-keyout", &in_place("key.pem"), "-out", &in_place("cert.pem")])
                    .stderr(Stdio::null())
                    .status()?;
                anyhow::ensure!(made.success(), "openssl");
                [in_place("cert.pem"), in_place("key.pem"), in_place("cert.pem")]
            }
        };
        let allowed: String = clients.iter().map(|client| format!("ALLOW_IPSEC {client}\n")).collect();
        std::fs::write(place.join("acl.conf"), allowed)?;
        let config = format!(
            r#"Identity = "dra.example.net";
Realm = "example.net";
Port = {port};
SecPort = 0;
No_SCTP;
No_IPv6;
ListenOn = "127.0.0.1";
TwTimer = 6;
TLS_Cred = "{cert}", "{key}";
TLS_CA = "{authority}";
LoadExtension = "dict_nasreq.fdx";
LoadExtension = "dict_dcca.fdx";
LoadExtension = "dict_dcca_3gpp.fdx";
LoadExtension = "acl_wl.fdx" : "{acl}";
ConnectPeer = "ocs.example.net" {{ ConnectTo = "127.0.0.1"; {connect} }};
"#,
            acl = in_place("acl.conf"),
        );
        std::fs::write(place.join("fd.conf"), config)?;
        let mut command = Command::new("freeDiameterd");
        command.args(["-c", &in_place("fd.conf")]);
        Ok(Self { process: Process::start("freeDiameterd", &mut command, &folder.join("relay.log"))?, port })
    }

    /// Lines of its log that complain of somebody's messages.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.process.output();
        let bad = ["Parsing error", "Conflicting rule", "ERROR"];
        // Its TLS library says so when a record was none of the application's.
        let harmless = |line: &str| line.contains("Resource temporarily unavailable, try again");
        let complains = |line: &&str| bad.iter().any(|word| line.contains(word)) && !harmless(line);
        log.lines().filter(complains).map(str::to_owned).collect()
    }
}
