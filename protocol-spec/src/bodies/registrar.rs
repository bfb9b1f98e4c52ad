//! The bodies that the registrar signs, alone or together with an operator.

use crate::{
    declare::bodies,
    field::Name,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, RegistrarId},
};

bodies! {
    /// Registrar → institution: name and keys were checked.
    Accreditation: AccreditationBody, ACCREDITATION = "medvault/v1 accreditation", by registrar {
        registrar_id: RegistrarId,
        institution_id: InstitutionId,
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
        registrar_id: RegistrarId,
        /// Who is accredited no more.
        institution_id: InstitutionId,
    }
    /// Registrar → everybody: a file is a client program (PRG-1).
    Program: ProgramBody, PROGRAM = "medvault/v1 program", by registrar {
        registrar_id: RegistrarId,
        name: Name,
        /// Which one of that name.
        version: Name,
        /// The machines it runs on, as compilers name them.
        target: Name,
        /// The revision of the source that it was built from.
        source: Name,
        toolchain: Name,
        file_hash: Sha256Digest,
    }
    /// Operator and registrar → everybody: an older copy of the data was put back, and the log goes on from there (RST-2).
    Restoration: RestorationBody, RESTORATION = "medvault/v1 restoration", by operator or registrar {
        operator_id: OperatorId,
        registrar_id: RegistrarId,
        /// Generation of the log that goes on, from 2.
        generation: u64,
        /// Leaves of the log as it stands in the copy.
        size: u64,
        /// Root of the Merkle tree over those leaves.
        root: Sha256Digest,
        /// Leaves that the log is known to have had before.
        seen: u64,
        /// When the copy was made at the latest: of its newest checkpoint, in milliseconds since 1970.
        until: u64,
    }
}
