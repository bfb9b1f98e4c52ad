//! The one way by which a principal changes something: its message is read, its statements are proven to be its own
//! ([`crate::vault::core::proven`]), and what they ask for is carried out in one commit, whose answer is kept for repetitions.
//!
//! What does not go this way, and why: enrolments make the caller that they come from; withdrawals and programs come from
//! nobody; a presentation and an opening in an emergency look at their repetition only behind what may have ended since;
//! a commit of an upload stores its stream before there is anything to be carried out.

use std::future::Future;

use protocol_spec::{messages as pb, submitted::Submitted};

use crate::vault::{
    core::{idempotency, proven::Proven, refusal::Refusal, role::Role, shared::Shared, tx::Operation},
    tables::Row,
    who::caller::{Caller, Intent},
};

/// Something that a principal submits, by the message that brings it and the role that may.
pub(crate) trait Submission: Operation<Answer: AnswerRow> + Send + Sized {
    /// The message, read and well-formed.
    type Message: Submitted;
    /// The role in which a caller may submit it.
    type By: Role;

    /// Takes it from whom it comes from.
    fn admit(message: Self::Message, who: &Proven<'_, Self::By>) -> Result<Self, Refusal>;

    /// Carries it out, with what must be done before the commit or after it.
    fn carry_out(&self, turn: Turn<'_>) -> impl Future<Output = Result<Self::Answer, Refusal>> + Send {
        async move { turn.commit(self).await }
    }
}

/// The caller's turn: what it wants done, once.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(in crate::vault) shared: &'a Shared,
    pub(in crate::vault) caller: &'a Caller,
    pub(in crate::vault) intent: &'a Intent,
}

impl Turn<'_> {
    /// The answer that there was, if it comes again.
    pub(in crate::vault) async fn answered<A: Row>(&self) -> Result<Option<A>, Refusal> {
        idempotency::answered_now(self.shared, self.caller, self.intent).await
    }

    /// In one commit, which keeps the answer; or gives the answer that there was.
    pub(in crate::vault) async fn commit<O>(&self, operation: &O) -> Result<O::Answer, Refusal>
    where
        O: Operation<Answer: Row>,
    {
        idempotency::mutate(self.shared, self.caller, self.intent, operation).await
    }
}

/// Takes what a caller submits, and carries it out.
pub(crate) async fn submit<S: Submission>(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
    wire: <S::Message as Submitted>::Wire,
) -> Result<<S::Answer as AnswerRow>::Wire, Refusal> {
    let submission = {
        let who = Proven::new(shared, caller)?;
        S::admit(S::Message::read(wire)?, &who)?
    };
    let turn = Turn {
        shared,
        caller,
        intent,
    };
    submission.carry_out(turn).await.map(AnswerRow::wire)
}

/// What answers a submission, as it is kept and as it is sent.
pub(crate) trait AnswerRow: Row {
    /// The message that is sent.
    type Wire;

    /// Makes that message.
    fn wire(self) -> Self::Wire;
}

/// What answers nothing of its own is accepted.
impl AnswerRow for () {
    type Wire = pb::Accepted;

    fn wire(self) -> pb::Accepted {
        pb::Accepted {}
    }
}

macro_rules! answers {
    ($($message:ident),*) => {$(
        impl AnswerRow for pb::$message {
            type Wire = Self;

            fn wire(self) -> Self {
                self
            }
        }
    )*};
}

answers!(
    HelpStarted,
    LoggedStatement,
    PermissionAnswer,
    Receipt,
    ResealOpened,
    RevocationAnswer
);
