//! Institutions and their terminals, and what the registrar has said of them and of client programs.

use bytes::Bytes;

use super::submitted;
use crate::{
    Error,
    bodies::{
        Accreditation, InstitutionKeys, Program, Retirement, TakeBack, TerminalCertificate, TerminalRemoval,
        Withdrawal,
    },
    field::SealedBytes,
    ids::TerminalId,
    messages as pb,
    statement::Signed,
};

submitted! {
    /// An accredited institution enrols, and shows the secret that its key opens (KEY-7).
    EnrolInstitution {
        keys: Signed<InstitutionKeys>,
        accreditation: Signed<Accreditation>,
        secret: Bytes,
    }
    /// An institution goes on with another recipient key.
    RotateInstitution {
        keys: Signed<InstitutionKeys>,
        accreditation: Signed<Accreditation>,
        secret: Bytes,
        terminals: Vec<TerminalKeys>,
    }
    /// The recipient keys, to a terminal that goes on (INS-12).
    TerminalKeys {
        terminal_id: TerminalId,
        keys: SealedBytes,
    }
    /// An institution ends by its own word (INS-13).
    RetireInstitution {
        retirement: Signed<Retirement>,
    }
    /// An institution certifies a terminal.
    AddTerminal {
        certificate: Signed<TerminalCertificate>,
        keys: Option<SealedBytes>,
    }
    /// An institution removes a terminal.
    RemoveTerminal {
        removal: Signed<TerminalRemoval>,
    }
    /// An institution takes back what it has stored (DEL-6).
    TakeBackUpload {
        take_back: Signed<TakeBack>,
    }
    /// The registrar withdraws an accreditation (INS-15).
    WithdrawInstitution {
        withdrawal: Signed<Withdrawal>,
    }
    /// The registrar vouches for a client program (PRG-2).
    PublishProgram {
        program: Signed<Program>,
    }
}
