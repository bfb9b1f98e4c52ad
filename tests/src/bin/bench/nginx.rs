//! The peer: nginx with plain bytes over TLS 1.3, and curl. It does not encrypt for anybody and does not
//! wait for the disk.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// A running nginx in a folder of its own; dropping it ends the process.
pub(crate) struct Nginx {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Nginx {
    /// Starts one, if nginx with WebDAV, curl and openssl are installed.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>> {
        let installed = ["nginx", "curl", "openssl"].iter().all(|name| {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {name}")])
                .stdout(Stdio::null())
                .status();
            found.is_ok_and(|status| status.success())
        });
        let dav = Command::new("nginx")
            .arg("-V")
            .output()
            .is_ok_and(|out| String::from_utf8_lossy(&out.stderr).contains("http_dav_module"));
        if !installed || !dav {
            return Ok(None);
        }
        fs::create_dir_all(folder.join("root"))?;
        certificate(folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        fs::write(folder.join("nginx.conf"), configuration(folder, port))?;
        let child = Command::new("nginx")
            .args([
                "-p".as_ref(),
                folder.as_os_str(),
                "-c".as_ref(),
                folder.join("nginx.conf").as_os_str(),
            ])
            .stderr(Stdio::null())
            .spawn()?;
        let nginx = Self {
            child,
            port,
            folder: folder.to_owned(),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < deadline, "nginx does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(nginx))
    }

    /// Seconds for an upload.
    pub(crate) fn upload(&self, file: &Path) -> Result<f64> {
        self.curl(&["-T".as_ref(), file.as_os_str()])
    }

    /// Seconds for a download of what was uploaded.
    pub(crate) fn download(&self, out: &Path) -> Result<f64> {
        let seconds = self.curl(&["-o".as_ref(), out.as_os_str()])?;
        fs::remove_file(out)?;
        Ok(seconds)
    }

    fn curl(&self, args: &[&std::ffi::OsStr]) -> Result<f64> {
        let started = Instant::now();
        let status = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--insecure", "--http1.1"])
            .args(args)
            .arg(format!("https://127.0.0.1:{}/record.bin", self.port))
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "curl failed in {}", self.folder.display());
        Ok(started.elapsed().as_secs_f64())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master process ends its workers on SIGTERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn certificate(folder: &Path) -> Result<()> {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .context("openssl")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null; user root;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ root {folder}/root; dav_methods PUT; }}
  }}
}}
"
    )
}
