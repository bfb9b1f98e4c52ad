//! What a patient does as an institution does: reads her inbox, and looks at what her home believes of its server.

use std::time::Duration;

use crate::{
    InboxEvent, Patient, Result, Trust,
    inbox::{NewestEvents, Reader},
};

impl Patient {
    /// Her events after number `after`, in order, opened and verified. With `wait` it waits so long for the
    /// first one.
    ///
    /// # Errors
    /// Of the connection alone; an event that does not verify is reported as such.
    pub async fn inbox(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        self.vault
            .session()
            .inbox(&Reader::Patient(&self.vault), after, wait)
            .await
    }

    /// At most `most` of her newest events, and none that arrived before `since`, in milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Self::inbox`].
    pub async fn newest_events(&self, most: u64, since: u64) -> Result<NewestEvents> {
        self.vault
            .session()
            .newest_events(&Reader::Patient(&self.vault), most, since)
            .await
    }

    /// The directory and the log of her server, as far as they are proven.
    pub fn trust(&self) -> Trust<'_> {
        self.vault.session().trust()
    }
}
