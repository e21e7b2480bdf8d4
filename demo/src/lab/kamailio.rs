//! A real Kamailio with the configuration we ship, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Process, eventually, free_tcp_port, free_udp_port, repository};

/// What differs from the shipped lists.
#[derive(Debug, Clone, Default)]
pub struct KamailioPlan {
    /// SIP users and passwords.
    pub users: Vec<(String, String)>,
    /// Trunks: address, name, paying account.
    pub trunks: Vec<(String, String, String)>,
    /// Further `-A` defines, such as `TK_NO_AGENT_ALLOW`.
    pub defines: Vec<String>,
}

/// A running Kamailio.
#[derive(Debug)]
pub struct Kamailio {
    /// The process.
    pub process: Process,
    /// Its SIP port (UDP).
    pub sip_port: u16,
    /// Where the agent connects.
    pub evapi_port: u16,
    folder: PathBuf,
    gateway_port: u16,
    plan: KamailioPlan,
}

impl Kamailio {
    /// Starts it in `folder` with calls going out to the gateway's port; waits until it answers SIP.
    pub fn start(folder: &Path, gateway_port: u16, plan: &KamailioPlan) -> anyhow::Result<Self> {
        Self::start_on(folder, gateway_port, plan, free_udp_port()?, free_tcp_port()?)
    }

    /// Starts it again after it was killed, on the same ports.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        *self = Self::start_on(&self.folder, self.gateway_port, &self.plan.clone(), self.sip_port, self.evapi_port)?;
        Ok(())
    }

    fn start_on(
        folder: &Path,
        gateway_port: u16,
        plan: &KamailioPlan,
        sip_port: u16,
        evapi_port: u16,
    ) -> anyhow::Result<Self> {
        let config = folder.join("kamailio");
        lay_out(&config, plan)?;
        let mut command = Command::new("kamailio");
        command.arg("-f").arg(config.join("kamailio.cfg")).args(["-DD", "-E", "-m", "256", "-M", "16"]);
        command.arg("-w").arg(&config).arg("-Y").arg(&config).arg("-P").arg(config.join("pid"));
        let ctl = config.join("ctl");
        let defines = [
            format!("SIP_ADDR=udp:127.0.0.1:{sip_port}"),
            format!("EVAPI_ADDR=\"127.0.0.1:{evapi_port}\""),
            format!("NEXT_HOP=\"sip:127.0.0.1:{gateway_port}\""),
            format!("CTL_ADDR=\"unix:{}\"", ctl.display()),
        ];
        for define in defines.iter().chain(&plan.defines) {
            command.args(["-A", define]);
        }
        let mut process = Process::start("kamailio", &mut command, &folder.join("kamailio.log"))?;
        let up = eventually("Kamailio answering SIP", Duration::from_secs(20), || {
            let dead = process.ended().is_some();
            (dead || answers_sip(sip_port)).then_some(!dead)
        })?;
        anyhow::ensure!(up, "Kamailio does not start; log: {}", folder.join("kamailio.log").display());
        Ok(Self { process, sip_port, evapi_port, folder: folder.to_path_buf(), gateway_port, plan: plan.clone() })
    }

    /// kill -9, all its processes.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }
}

/// The shipped folder with the plan's lists.
fn lay_out(config: &Path, plan: &KamailioPlan) -> anyhow::Result<()> {
    std::fs::create_dir_all(config)?;
    for entry in std::fs::read_dir(repository().join("docker/kamailio"))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "cfg") {
            std::fs::copy(entry.path(), config.join(entry.file_name()))?;
        }
    }
    let users: Vec<String> =
        plan.users.iter().map(|(user, secret)| format!("$sht(users=>{user}) = \"{secret}\";\n")).collect();
    std::fs::write(config.join("subscribers.cfg"), users.concat())?;
    let trunk = |(address, name, account): &(String, String, String)| {
        format!("$sht(trunks=>{address}) = \"{name}:{account}\";\n")
    };
    std::fs::write(config.join("trunks.cfg"), plan.trunks.iter().map(trunk).collect::<String>())?;
    Ok(())
}

/// OPTIONS, and anything that comes back.
pub(super) fn answers_sip(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let local = socket.local_addr()?.port();
        let request = format!(
            "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{local};branch=z9hG4bKlab{local}\r\n\
             From: <sip:lab@127.0.0.1>;tag=lab\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: lab-{local}\r\nCSeq: 1 OPTIONS\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send_to(request.as_bytes(), ("127.0.0.1", port))?;
        Ok(socket.recv(&mut [0; 2048])? > 0)
    };
    ask().unwrap_or(false)
}
