//! What the registrar says.

use crate::{
    declare::bodies,
    field::Name,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, RegistrarId},
};

bodies! {
    /// Registrar → institution: name and keys were checked.
    Accreditation: AccreditationBody, ACCREDITATION = "medvault/v1 accreditation", by registrar {
        /// Who accredits.
        registrar_id: RegistrarId,
        /// Who is accredited.
        institution_id: InstitutionId,
        /// The name checked.
        name: Name,
        /// SHA-256 of the X-Wing key.
        recipient_key_hash: Sha256Digest,
        /// SHA-256 of the secret that only the holder of the X-Wing key can open.
        secret_hash: Sha256Digest,
        /// Whether it may open in emergencies.
        emergency: bool,
    }
    /// Registrar → everybody: what was accredited under this identity key is accredited no more.
    Withdrawal: WithdrawalBody, WITHDRAWAL = "medvault/v1 withdrawal", by registrar {
        /// Who withdraws.
        registrar_id: RegistrarId,
        /// Who is accredited no more.
        institution_id: InstitutionId,
    }
    /// Registrar → everybody: a file is a client program (PRG-1).
    Program: ProgramBody, PROGRAM = "medvault/v1 program", by registrar {
        /// Who vouches for it.
        registrar_id: RegistrarId,
        /// What it is called.
        name: Name,
        /// Which one of that name.
        version: Name,
        /// For which machines.
        target: Name,
        /// The revision of the source that it was built from.
        source: Name,
        /// By which compiler.
        toolchain: Name,
        /// SHA-256 of the file.
        file_hash: Sha256Digest,
    }
    /// Operator and registrar → everybody: an older copy of the data was put back, and the log goes on from there (RST-2).
    Restoration: RestorationBody, RESTORATION = "medvault/v1 restoration", by operator or registrar {
        /// Whose log.
        operator_id: OperatorId,
        /// Who agrees.
        registrar_id: RegistrarId,
        /// Of the log that goes on, from 2.
        generation: u64,
        /// Leaves of the copy.
        size: u64,
        /// Root over them.
        root: Sha256Digest,
        /// Leaves that the log is known to have had before.
        seen: u64,
        /// When the copy was made at the latest: of its newest checkpoint, in milliseconds since 1970.
        until: u64,
    }
}
