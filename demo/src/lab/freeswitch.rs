//! A real FreeSWITCH with the configuration we ship, in a folder of its own. Debian has no packages of it: the environment
//! says where one is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::kamailio::answers_sip;
use super::{Process, eventually, free_tcp_port, free_udp_port, repository};

/// Names the installation prefix: the folder with `bin/freeswitch`.
pub const FREESWITCH_VARIABLE: &str = "TOLLKEEPER_FREESWITCH";

/// What differs from the shipped lists.
#[derive(Debug, Clone, Default)]
pub struct FreeswitchPlan {
    /// SIP users and passwords.
    pub users: Vec<(String, String)>,
    /// Addresses of trunks.
    pub trunks: Vec<String>,
    /// Settings of the example: `TK_PARK_TIMEOUT` and so on.
    pub environment: Vec<(String, String)>,
}

/// A running FreeSWITCH.
#[derive(Debug)]
pub struct Freeswitch {
    /// The process.
    pub process: Process,
    /// Its SIP port.
    pub sip_port: u16,
    /// Its event socket.
    pub esl_port: u16,
    /// The event socket's password, in a file.
    pub password_file: PathBuf,
    prefix: PathBuf,
    folder: PathBuf,
    gateway_port: u16,
    plan: FreeswitchPlan,
}

impl Freeswitch {
    /// Where it is installed; `None`: nobody has said so.
    pub fn installed() -> Option<PathBuf> {
        let prefix = PathBuf::from(std::env::var_os(FREESWITCH_VARIABLE)?);
        Some(repository().join(prefix))
    }

    /// Starts the one at `prefix` in `folder` with calls going out to the gateway's port; waits until it answers SIP.
    pub fn start(prefix: &Path, folder: &Path, gateway_port: u16, plan: &FreeswitchPlan) -> anyhow::Result<Self> {
        let password_file = folder.join("esl.password");
        std::fs::write(&password_file, format!("{PASSWORD}\n"))?;
        let (sip_port, esl_port) = (free_udp_port()?, free_tcp_port()?);
        let process = start_process(prefix, folder, sip_port, esl_port, gateway_port, plan)?;
        Ok(Self {
            process,
            sip_port,
            esl_port,
            password_file,
            prefix: prefix.to_path_buf(),
            folder: folder.to_path_buf(),
            gateway_port,
            plan: plan.clone(),
        })
    }

    /// kill -9.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Starts it again after it was killed, on the same ports.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let (prefix, folder) = (&self.prefix, &self.folder);
        self.process =
            start_process(prefix, folder, self.sip_port, self.esl_port, self.gateway_port, &self.plan.clone())?;
        Ok(())
    }
}

fn start_process(
    prefix: &Path,
    folder: &Path,
    sip_port: u16,
    esl_port: u16,
    gateway_port: u16,
    plan: &FreeswitchPlan,
) -> anyhow::Result<Process> {
    let place = folder.join("freeswitch");
    let config = place.join("conf");
    copy_folder(&repository().join("docker/freeswitch"), &config)?;
    write_lists(&config, plan)?;
    // Below the ports that the system hands out, and away from those of another one beside it.
    let first_rtp = 16_400 + sip_port % 40 * 400;
    let mut command = Command::new(prefix.join("bin/freeswitch"));
    command.args(["-nf", "-nc", "-nonat", "-np"]).arg("-conf").arg(&config).current_dir(&place);
    for name in ["log", "db", "run", "storage", "recordings", "cache"] {
        std::fs::create_dir_all(place.join(name))?;
        command.arg(format!("-{name}")).arg(place.join(name));
    }
    command.arg("-temp").arg(place.join("cache"));
    let settings = [
        ("TK_ESL_PASSWORD", PASSWORD.to_owned()),
        ("TK_SIP_PORT", sip_port.to_string()),
        ("TK_ESL_PORT", esl_port.to_string()),
        ("TK_GATEWAY", format!("127.0.0.1:{gateway_port}")),
        ("TK_RTP_START", first_rtp.to_string()),
        ("TK_RTP_END", (first_rtp + 398).to_string()),
        ("TK_LOG", "info".to_owned()),
    ];
    command.envs(settings).envs(plan.environment.iter().cloned());
    let mut process = Process::start("freeswitch", &mut command, &folder.join("freeswitch.log"))?;
    let up = eventually("FreeSWITCH answering SIP", Duration::from_secs(30), || {
        let dead = process.ended().is_some();
        (dead || answers_sip(sip_port)).then_some(!dead)
    })?;
    anyhow::ensure!(up, "FreeSWITCH does not start; log: {}", folder.join("freeswitch.log").display());
    Ok(process)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()))?;
        } else if entry.path().extension().is_some_and(|extension| extension == "xml") {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// In place of the shipped users and trunks.
fn write_lists(config: &Path, plan: &FreeswitchPlan) -> anyhow::Result<()> {
    // FreeSWITCH drops the whole line on which it sees <include>.
    let user = |(user, secret): &(String, String)| {
        format!(r#"<user id="{user}"><params><param name="password" value="{secret}"/></params></user>"#)
    };
    let users: Vec<String> = plan.users.iter().map(user).collect();
    std::fs::write(config.join("subscribers.xml"), format!("<include>\n{}\n</include>\n", users.join("\n")))?;
    let node = |address: &String| format!(r#"<node type="allow" cidr="{address}/32"/>"#);
    let nodes: String = plan.trunks.iter().map(node).collect();
    let list = format!("<include>\n<list name=\"tollkeeper_trunks\" default=\"deny\">{nodes}</list>\n</include>\n");
    Ok(std::fs::write(config.join("tollkeeper/trunks.xml"), list)?)
}

const PASSWORD: &str = "lab-esl-password";
