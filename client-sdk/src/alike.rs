//! What a patient does as an institution does: reads her inbox, and chooses the witnesses whose cosignatures their homes ask for.

use std::time::Duration;

use crate::{
    InboxEvent, Patient, Result, WitnessPolicy,
    inbox::{NewestEvents, Reader},
};

impl Patient {
    /// Her events after number `after`, in order, opened and verified. With `wait` it waits so long for the
    /// first one.
    ///
    /// # Errors
    /// Of the connection alone; an event that does not verify is reported as such.
    pub async fn inbox(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        self.session().inbox(&Reader::Patient(self), after, wait).await
    }

    /// At most `most` of her newest events, and none that arrived before `since`, in milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Self::inbox`].
    pub async fn newest_events(&self, most: u64, since: u64) -> Result<NewestEvents> {
        self.session()
            .newest_events(&Reader::Patient(self), most, since)
            .await
    }

    /// Whose cosignatures this home asks for.
    ///
    /// # Errors
    /// [`crate::Error::HomeAltered`], [`crate::Error::HomeDamaged`].
    pub fn witnesses(&self) -> Result<WitnessPolicy> {
        WitnessPolicy::of(self.home())
    }

    /// Has this home ask for these witnesses from its next session on (LOG-11).
    ///
    /// # Errors
    /// [`crate::Error::Usage`] if the policy is about other logs than the server's.
    pub async fn use_witnesses(&self, policy: &WitnessPolicy) -> Result<()> {
        policy.keep(self.home(), &self.session().log.key()?).await
    }
}
