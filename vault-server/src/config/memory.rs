//! Whether the settings of memory fit together: whatever one request may need, its payer can have twice, so
//! that one long answer keeps nobody out, neither others nor the one who waits for it.

use super::{Config, MESSAGE_PARTS, PUBLIC_PAGE_PARTS, UNSIGNED_PARTS};

/// One answer or body, and the memory that it comes from.
struct Need {
    setting: &'static str,
    bytes: u64,
    memory: &'static str,
    /// What may be needed at most.
    part: u64,
}

impl Config {
    /// Whether every request can have its memory. The error names two settings that do not fit, and what to change.
    pub fn check_memory(&self) -> Result<(), String> {
        match self.needs().into_iter().find(|need| need.bytes > need.part) {
            None => Ok(()),
            Some(Need {
                setting,
                bytes,
                memory,
                part,
            }) => Err(format!(
                "{setting} makes bodies of {bytes} bytes, but {memory} allows {part}: lower {setting} or raise {memory}"
            )),
        }
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = self.needs_of_principals();
        needs.extend(self.needs_of_the_public());
        needs
    }

    /// What is needed by whoever has signed a request.
    fn needs_of_principals(&self) -> Vec<Need> {
        let limits = &self.limits;
        let vault = self.session_limits.vault(limits);
        let message = vault.request_bytes;
        let long = [
            ("--release-manifest-bytes", vault.most_of_release()),
            ("--page-bytes", vault.most_of_page(message)),
            ("--sealed-manifest-bytes", vault.most_of_records()),
            ("--commit-bytes", bytes(limits.commit_bytes)),
            ("--message-bytes", message.saturating_mul(2)),
        ];
        let part = bytes(limits.principal_memory() / 2);
        let mut needs: Vec<Need> = long
            .map(|(setting, bytes)| Need {
                setting,
                bytes,
                memory: "--body-memory",
                part,
            })
            .into();
        if limits.message_memory > 0 {
            needs.push(Need {
                setting: "--message-bytes",
                // As base64, where it is streamed.
                bytes: vault.most_of_short_page(message).div_ceil(3).saturating_mul(4) + (4 << 10),
                memory: "--message-memory",
                part: bytes(limits.message_memory / MESSAGE_PARTS),
            });
        }
        // Or there would be records that can never be released.
        needs.push(Need {
            setting: "--sealed-manifest-bytes",
            bytes: vault.most_of_record(),
            memory: "--release-manifest-bytes",
            part: vault.most_of_release(),
        });
        needs
    }

    /// What is needed by whoever has signed nothing.
    fn needs_of_the_public(&self) -> [Need; 3] {
        let limits = &self.limits;
        let enrolment = bytes(limits.enrolment_bytes);
        let vault = self.session_limits.vault(limits);
        let page = vault.most_of_short_page(enrolment.saturating_add(4 << 10));
        let public = [
            ("--address-memory", limits.address_memory, page),
            ("--public-memory", limits.public_memory / PUBLIC_PAGE_PARTS, page),
            (
                "--unsigned-memory",
                limits.unsigned_memory / UNSIGNED_PARTS,
                enrolment.saturating_add(4 << 10),
            ),
        ];
        public.map(|(memory, part, needed)| Need {
            setting: "--enrolment-bytes",
            bytes: needed,
            memory,
            part: bytes(part),
        })
    }
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
