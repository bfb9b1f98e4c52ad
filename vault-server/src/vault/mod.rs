//! The vault's state machines: who may do what, when and how often. Knows no HTTP and no ciphers.
//!
//! Each mutation is a `tx::Operation`: it verifies what can be verified without the ledger, then reads,
//! decides and writes in one commit, which also spends what is spent, writes history, inbox events and
//! the log's queue, and keeps the answer for repetitions. What was refused has changed nothing.
//!
//! | module | holds |
//! |---|---|
//! | `caller`, `who`, `known`, `refusal`, `limits`, `time`, `steady`, `units` | who asks, and for whom; what is answered instead, bounds, time |
//! | `submission`, `proven`, `tell` | the one way by which a principal changes something: what is its own, what is told of it |
//! | `tables`, `tx`, `idempotency` | rows, one try at a commit, mutations that may be repeated |
//! | `bound` | whose data these are |
//! | `enrol`, `enrolment`, `directory` | principals; what a patient brings to be enrolled |
//! | `account`, `payer` | what each principal has the server keep, and may |
//! | `admission` | who may enrol as a patient |
//! | `strangers` | what others see of a patient |
//! | `programs` | client programs that the registrar vouches for |
//! | `acts` | what was done to a vault, and the heads over it |
//! | `devices`, `leaving`, `kept`, `links` | the devices of a patient, what one of them cannot take from her at once, and those that offer themselves |
//! | `delegations`, `held`, `acting` | what patients let others do in their vaults; who may; those who do it |
//! | `received`, `unanswered` | how much anybody may put before whom; what she does about it |
//! | `rotation`, `withdrawal`, `terminals`, `standing` | an institution's keys, end and terminals; whether it may still act |
//! | `requests`, `permissions`, `denial`, `revocation` | asking, permitting, denying, taking back |
//! | `challenge`, `presentation` | delivery of a permission key, proof of possession |
//! | `upload`, `intake`, `commit` | sessions of upload, leaves on their way in, the record |
//! | `release`, `charge`, `outflow`, `release_end` | sessions of release, what a range costs, leaves on their way out, the receipt |
//! | `collections`, `placement`, `released` | collections, what lies in them, what is released of them |
//! | `rewrap`, `closure` | data keys brought under a new key, the end of an old one |
//! | `reseal` | content brought under a new data key |
//! | `deletion`, `take_back` | records that go for good |
//! | `emergency` | emergency permissions, their openings, guardians |
//! | `records`, `history`, `inbox` | what principals see of their own |
//! | `weakened` | what builds for negative controls let a delegate have, and no other |
//! | `log`, `sweep` | transparency log, expired sessions |

pub(crate) mod account;
pub(crate) mod acting;
pub(crate) mod acts;
pub(crate) mod admission;
pub(crate) mod asked;
pub(crate) mod back;
pub(crate) mod bound;
pub(crate) mod caller;
pub(crate) mod challenge;
pub(crate) mod charge;
pub(crate) mod closure;
pub(crate) mod collections;
pub(crate) mod commit;
pub(crate) mod delegated;
pub(crate) mod delegation_rows;
pub(crate) mod delegations;
pub(crate) mod deletion;
pub(crate) mod delivery;
pub(crate) mod denial;
pub(crate) mod devices;
pub(crate) mod directory;
pub(crate) mod emergency;
pub(crate) mod enrol;
pub(crate) mod enrolment;
pub(crate) mod entries;
pub(crate) mod gone;
pub(crate) mod handle;
pub(crate) mod heads;
pub(crate) mod held;
pub(crate) mod history;
pub(crate) mod idempotency;
pub(crate) mod in_flight;
pub(crate) mod inbox;
pub(crate) mod index;
pub(crate) mod intake;
pub(crate) mod kept;
pub(crate) mod known;
pub(crate) mod leaving;
pub(crate) mod limits;
pub(crate) mod links;
pub(crate) mod listed;
pub(crate) mod log;
pub(crate) mod opened;
pub(crate) mod outflow;
pub(crate) mod payer;
pub(crate) mod permissions;
pub(crate) mod placed;
pub(crate) mod placement;
pub(crate) mod presentation;
pub(crate) mod programs;
pub(crate) mod proven;
pub(crate) mod received;
pub(crate) mod records;
pub(crate) mod refusal;
pub(crate) mod release;
pub(crate) mod release_end;
pub(crate) mod released;
pub(crate) mod requests;
pub(crate) mod reseal;
pub(crate) mod revocation;
pub(crate) mod rewrap;
pub(crate) mod rotation;
pub(crate) mod run;
pub(crate) mod session_rows;
pub(crate) mod sessions;
pub(crate) mod shared;
pub(crate) mod sizes;
pub(crate) mod standing;
pub(crate) mod steady;
pub(crate) mod strangers;
pub(crate) mod submission;
pub(crate) mod sweep;
pub(crate) mod tables;
pub(crate) mod take_back;
pub(crate) mod tell;
pub(crate) mod terminals;
#[cfg(test)]
mod tests;
pub(crate) mod time;
pub(crate) mod tx;
pub(crate) mod unanswered;
pub(crate) mod units;
pub(crate) mod upload;
pub(crate) mod wakes;
pub(crate) mod weakened;
pub(crate) mod who;
pub(crate) mod withdrawal;
pub(crate) mod work;

pub use self::{
    acts::MAX_ACTS,
    bound::{Accepted, Binding, Bound, Unbound},
    caller::{Caller, Intent},
    delegated::KEYS_OF_PAGE,
    handle::Vault,
    intake::LeafIntake,
    limits::{Budgets, EnrolmentPolicy, InboxLimits, VaultLimits},
    outflow::LeafStream,
    presentation::Proof,
    refusal::Refusal,
    release_end::MAX_VERSIONS,
    time::{Clock, SystemClock},
};

pub(crate) use self::{
    log::{for_who_has_seen, restoring},
    steady::since_1970,
};
pub use protocol_spec::submitted::MAX_WRAPS;
