//! Somebody who runs as the same user as a program looks into its memory, and finds its dump when it has crashed.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use protocol_spec::defence::Defence;
use tests::{
    attack::play,
    harness::{World, program, with_defences_off},
};

/// Who looks when these tests run as root, from whom nothing is hidden.
const NOBODY: u32 = 65534;

/// ATK-92, PRG-5: the key of a client's home, which is in memory while it works, is found neither there nor in a dump, and nobody
/// reads its environment.
#[test]
fn nobody_reads_a_clients_keys_from_its_memory() -> Result<()> {
    let world = World::start()?;
    let (hospital, _) = world.institution("Hospital North")?;
    let key = hospital.home().with_extension("key");
    let needle = fs::read(&key)?;
    play(&[Defence::MemoryDumps], |off| {
        let look = Look::set(&world, off)?;
        // A trace tells that it is unlocked: then it signs its first request.
        let trace = look.folder.join("trace");
        let command = hospital.without(off).command(&[
            "trace".as_ref(),
            "--to".as_ref(),
            trace.as_os_str(),
            "inbox".as_ref(),
            "--wait".as_ref(),
            "60".as_ref(),
            "--after".as_ref(),
            "1000000".as_ref(),
        ])?;
        look.hand_over(&[hospital.home(), &key])?;
        look.finds(&needle, &trace, command)
    })
}

/// ATK-92, PRG-5: nor the operator's key from a server.
#[test]
fn nobody_reads_an_operators_key_from_its_servers_memory() -> Result<()> {
    let world = World::start()?;
    play(&[Defence::MemoryDumps], |off| {
        let look = Look::set(&world, off)?;
        let data = look.folder.join("data");
        fs::create_dir(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
        let needle = [u8::try_from(off.len())? + 7; 32].map(|byte| byte ^ 0x5a);
        fs::write(data.join("operator.key"), needle)?;
        fs::set_permissions(data.join("operator.key"), fs::Permissions::from_mode(0o600))?;
        let registrar = world.principal(&format!("registrar-{}", off.len()));
        let registrar = registrar.run(&["registrar", "init"])?;
        let mut command = with_defences_off("vault-server", off)?;
        command
            .arg("--data")
            .arg(&data)
            .args(["--registrar", registrar["registrar"].as_str().context("no key")?])
            .args(["--dev", "--listen", "127.0.0.1:0"]);
        look.hand_over(&[&data])?;
        // Written after the operator's key was read.
        look.finds(&needle, &data.join("dev-tls.crt"), command)
    })
}

/// A folder for one look, whoever it is that looks.
struct Look {
    folder: PathBuf,
    as_root: bool,
}

impl Look {
    fn set(world: &World, off: &[Defence]) -> Result<Self> {
        let folder = world.path(&format!("look-{}", off.len()));
        fs::create_dir(&folder)?;
        let as_root = fs::metadata(&folder)?.uid() == 0;
        let look = Self { folder, as_root };
        look.hand_over(&[&look.folder])?;
        if as_root {
            fs::set_permissions(world.folder(), fs::Permissions::from_mode(0o711))?;
        }
        Ok(look)
    }

    /// Gives files to whoever looks, and runs the program that is looked into.
    fn hand_over(&self, paths: &[&Path]) -> Result<()> {
        for path in paths.iter().filter(|_| self.as_root) {
            for entry in walkdir::WalkDir::new(path) {
                chown(entry?.path(), Some(NOBODY), Some(NOBODY))?;
            }
        }
        Ok(())
    }

    /// Starts the program, looks into it once this file has content, has it crash, and says whether anything was found.
    fn finds(&self, needle: &[u8], sign: &Path, program_line: Command) -> Result<bool> {
        let mut looks = Command::new(self.reachable(&program("onlooker")?, "onlooker")?);
        looks
            .arg(HEXLOWER.encode(needle))
            .arg(sign)
            .arg(self.reachable(Path::new(program_line.get_program()), "program")?)
            .args(program_line.get_args())
            .envs(
                program_line
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(&self.folder);
        if self.as_root {
            looks.uid(NOBODY).gid(NOBODY);
        }
        let output = looks.output()?;
        let found = String::from_utf8(output.stdout)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}");
        // Where dumps go to a file, the control finds one.
        let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
        let in_file = !pattern.starts_with(['|', '/']);
        let all = found.contains("memory") && found.contains("environment");
        ensure!(
            found.is_empty() || (all && (!in_file || found.contains("core"))),
            "{found} {said}"
        );
        Ok(!found.is_empty())
    }

    /// A program where whoever looks can start it.
    fn reachable(&self, program: &Path, name: &str) -> Result<PathBuf> {
        if !self.as_root {
            return Ok(program.to_owned());
        }
        let copy = self.folder.join(name);
        fs::copy(program, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        Ok(copy)
    }
}
