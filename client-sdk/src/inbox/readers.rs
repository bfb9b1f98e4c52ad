//! Whose inbox is read: a patient's or an institution's.

use std::time::Duration;

use super::{InboxEvent, NewestEvents, Reader};
use crate::{Institution, Patient, Result};

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
}

impl Institution {
    /// As [`crate::Patient::inbox`]. A permission that has come is fetched, to verify whose it is and what it
    /// answers.
    ///
    /// # Errors
    /// As [`crate::Patient::inbox`].
    pub async fn inbox(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        self.keep_up().await?;
        self.session().inbox(&self.reader(), after, wait).await
    }

    /// As [`crate::Patient::newest_events`].
    ///
    /// # Errors
    /// As [`crate::Patient::newest_events`].
    pub async fn newest_events(&self, most: u64, since: u64) -> Result<NewestEvents> {
        self.keep_up().await?;
        self.session().newest_events(&self.reader(), most, since).await
    }

    fn reader(&self) -> Reader<'_> {
        Reader::Institution {
            id: self.id(),
            keys: self.key_store(),
        }
    }
}
