//! The one way by which a principal changes something: its message is read, its statements are proven to be its own
//! ([`super::proven`]), and what they ask for is carried out in one commit, whose answer is kept for repetitions.
//!
//! What does not go this way, and why: enrolments make the caller that they come from; withdrawals and programs come from
//! nobody; a presentation and an opening in an emergency look at their repetition only behind what may have ended since;
//! a commit of an upload stores its stream before there is anything to be carried out.

use std::future::Future;

use protocol_spec::submitted::Submitted;

use super::{
    Caller, Intent, Refusal, Shared,
    proven::{Proven, Role},
    tables::Row,
    tx::Operation,
};

/// What a principal submits.
pub(super) trait Submission: Operation<Answer: Row> + Send + Sized {
    /// As it comes, well-formed.
    type Message: Submitted;
    /// Who may submit it.
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
pub(super) struct Turn<'a> {
    pub(super) shared: &'a Shared,
    pub(super) caller: &'a Caller,
    pub(super) intent: &'a Intent,
}

impl Turn<'_> {
    /// The answer that there was, if it comes again.
    pub(super) async fn answered<A: Row>(&self) -> Result<Option<A>, Refusal> {
        self.shared.answered(self.caller, self.intent).await
    }

    /// In one commit, which keeps the answer; or gives the answer that there was.
    pub(super) async fn commit<O>(&self, operation: &O) -> Result<O::Answer, Refusal>
    where
        O: Operation<Answer: Row>,
    {
        self.shared.mutate(self.caller, self.intent, operation).await
    }
}

impl Shared {
    /// Takes what a caller submits, and carries it out.
    pub(super) async fn submit<S: Submission>(
        &self,
        caller: &Caller,
        intent: &Intent,
        wire: <S::Message as Submitted>::Wire,
    ) -> Result<S::Answer, Refusal> {
        let submission = {
            let who = Proven::new(self, caller)?;
            S::admit(S::Message::read(wire)?, &who)?
        };
        let turn = Turn {
            shared: self,
            caller,
            intent,
        };
        submission.carry_out(turn).await
    }
}
