//! The quickstart's agents: small real processes with a real health endpoint, and nothing else.
//!
//! An agent lives as long as the quickstart does: it waits for the lock that the quickstart holds,
//! and ends as soon as it gets it, however the quickstart ended. So nothing is left running, also
//! not after a kill -9.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::pool::AgentName;

/// How long a started agent may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// An agent of the quickstart's fleet
#[derive(Clone, Debug, clap::Args)]
pub struct ExampleAgentArgs {
    /// The quickstart's folder
    #[arg(long)]
    dir: PathBuf,
    /// Stay and answer, instead of starting an agent that does
    #[arg(long)]
    serve: bool,
    /// Which agent
    name: AgentName,
}

/// Starts an agent and leaves when it listens; or is one.
pub fn run(args: &ExampleAgentArgs) -> anyhow::Result<ExitCode> {
    if args.serve { serve(&args.dir, &args.name) } else { start(&args.dir, &args.name) }
}

/// The lock that the quickstart holds while it lives.
pub fn quickstart_lock(dir: &Path) -> PathBuf {
    dir.join("quickstart.lock")
}

/// Where an agent's port, process id and lock are.
pub fn agent_file(dir: &Path, agent: &AgentName, kind: &str) -> PathBuf {
    dir.join("agents").join(format!("{agent}.{kind}"))
}

fn start(dir: &Path, agent: &AgentName) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let log = File::options().create(true).append(true).open(agent_file(dir, agent, "log"))?;
    Command::new(program)
        .args(["example-agent", "--serve", "--dir"])
        .arg(dir)
        .arg(agent.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("the agent {agent} could not be started"))?;
    let port = port_of(dir, agent)?;
    let until = Instant::now() + STARTS_WITHIN;
    // Nothing is ever sent here; waiting for it is the pause.
    let (_never, pause) = mpsc::channel::<()>();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() >= until {
            bail!("the agent {agent} did not come up; see {}", agent_file(dir, agent, "log").display());
        }
        let _ = pause.recv_timeout(Duration::from_millis(20));
    }
    let _ = writeln!(std::io::stdout(), "{agent} listens on 127.0.0.1:{port}");
    Ok(ExitCode::SUCCESS)
}

fn serve(dir: &Path, agent: &AgentName) -> anyhow::Result<ExitCode> {
    let own = File::create(agent_file(dir, agent, "lock"))?;
    if own.try_lock().is_err() {
        bail!("{agent} runs already");
    }
    let lease = File::open(quickstart_lock(dir)).context("the quickstart is not there")?;
    std::thread::spawn(move || {
        // Comes back when the quickstart has let go of it, by ending in whatever way.
        let _ = lease.lock_shared();
        std::process::exit(0);
    });
    let listener = TcpListener::bind(("127.0.0.1", port_of(dir, agent)?))?;
    fs::write(agent_file(dir, agent, "pid"), format!("{}\n", std::process::id()))?;
    for connection in listener.incoming() {
        // A probe that goes away in the middle is its own affair.
        let _ = connection.and_then(|stream| answer(stream, agent));
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers one request, whatever it asks, and closes.
fn answer(mut stream: TcpStream, agent: &AgentName) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut head = Vec::new();
    let mut chunk = [0; 512];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 8192 {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    let body = if head.starts_with(b"HEAD") { String::new() } else { format!("{agent} is alive\n") };
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// The port that the quickstart gave the agent.
pub fn port_of(dir: &Path, agent: &AgentName) -> anyhow::Result<u16> {
    let file = agent_file(dir, agent, "port");
    let text = fs::read_to_string(&file).with_context(|| format!("there is no agent {agent} in {}", dir.display()))?;
    text.trim().parse().with_context(|| format!("{} holds no port", file.display()))
}
