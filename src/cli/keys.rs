use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;
use crate::channel::nostr::nostr_sdk::{Keys, ToBech32 as _};
use crate::channel::nostr::{Bunker, Identity, npub};

/// Make a key for Nostr, or show whose one is: the gateway's, or an approver's own
///
/// The secret goes into a file of mode 600 and is shown only when asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lazarus-gate keys generate nostr.key\n  lazarus-gate keys show nostr.key")]
pub struct KeysArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make one; a file that is there already is left alone
    Generate {
        /// Where the secret goes [default: `channels.nostr.secret_key_file` of the gateway's file]
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show its public key
    Show {
        /// Where the secret is [default: `channels.nostr.secret_key_file` of the gateway's file]
        file: Option<PathBuf>,
        /// Show the secret key as well
        #[arg(long)]
        secret: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl KeysArgs {
    pub(super) fn before(&mut self, before: &Place) {
        match &mut self.verb {
            Verb::Generate { place, .. } | Verb::Show { place, .. } => *place = place.or(before),
        }
    }
}

/// Does it.
///
/// # Errors
/// The file cannot be made or read.
pub fn run(world: &World, args: &KeysArgs) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Generate { file, json, place } => {
            let path = path(world, file.as_deref(), place)?;
            let identity = generate(&path)?;
            show(&identity, &path, None, *json)
        }
        Verb::Show { file, secret, json, place } => {
            if let (None, Some(path)) = (file, bunker(world, place)) {
                return show_remote(&Bunker::read(path.clone())?, &path, *json).map(|()| Exit::Done);
            }
            let path = path(world, file.as_deref(), place)?;
            let identity = Identity::read(path.clone())?;
            let secret = if *secret { Some(identity.keys().secret_key().to_bech32()?) } else { None };
            show(&identity, &path, secret.as_deref(), *json)
        }
    }
    .map(|()| Exit::Done)
}

/// The file of the remote signer, if the gateway's file names one.
fn bunker(world: &World, place: &Place) -> Option<PathBuf> {
    place.reach(&world.ambient).ok()?.gate?.channels.nostr.remote_signer_file
}

fn path(world: &World, file: Option<&Path>, place: &Place) -> anyhow::Result<PathBuf> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    let reach = place.reach(&world.ambient)?;
    let named = reach.gate.and_then(|gate| gate.channels.nostr.secret_key_file);
    named.ok_or_else(|| anyhow!("name a file; no `channels.nostr.secret_key_file` could be read"))
}

/// A new key in a new file that only its user can read.
///
/// # Errors
/// There is such a file, or it cannot be made.
pub(super) fn generate(path: &Path) -> anyhow::Result<Identity> {
    let keys = Keys::generate();
    let secret = keys.secret_key().to_bech32()?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} was not made", path.display()))?;
    writeln!(file, "{secret}").and_then(|()| file.sync_all()).with_context(|| path.display().to_string())?;
    Ok(Identity::new(keys))
}

/// What is known of a key that is somewhere else: where, and who asks there. Nobody is asked.
fn show_remote(bunker: &Bunker, path: &Path, json: bool) -> anyhow::Result<()> {
    let (signer, client) = (npub(&bunker.signer.to_hex()), npub(&bunker.client().to_hex()));
    let relays: Vec<String> = bunker.relays.iter().map(ToString::to_string).collect();
    let text = format!(
        "The gateway's key is at a remote signer; `doctor nostr` asks it for its public key.\nsigner    {signer}\nrelays    \
         {}\nasked by  {client}\nThe address, which is a secret, is in {}.",
        relays.join(", "),
        path.display()
    );
    let value = serde_json::json!({ "signer": signer, "relays": relays, "asked_by": client, "file": path });
    out::print(&text, &value, json)
}

fn show(identity: &Identity, path: &Path, secret: Option<&str>, json: bool) -> anyhow::Result<()> {
    let (hex, npub) = (identity.hex(), npub(&identity.hex()));
    let mut text = format!("{npub}\n{hex}\nThe secret key is in {}.", path.display());
    let mut value = serde_json::json!({ "npub": npub, "hex": hex, "file": path });
    if let Some(secret) = secret {
        text.push_str(&format!("\n{secret}"));
        value["nsec"] = secret.into();
    }
    out::print(&text, &value, json)
}
