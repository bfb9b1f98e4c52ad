//! The lists of devices, as the server has them: fetched, not verified.

use prost::Message;
use protocol_spec::{
    api::{self, PageQuery},
    devices::{MAX_LISTS, RESERVED_LISTS},
    messages as pb,
};

use crate::{Result, connect::Server, pages::Whole};

/// All lists after this one, page by page, with what comes with the last page.
pub(super) async fn device_lists(server: &Server, after: Option<u64>) -> Result<pb::DeviceLists> {
    let (mut after, mut lists, mut whole) = (after, Vec::new(), Whole::new("the lists of devices"));
    loop {
        let query = PageQuery { after, limit: None };
        let answer = server.get(api::DEVICE_LISTS.ask([], query)).await?;
        whole.add(answer.lists.len(), answer.encoded_len())?;
        let count = u64::try_from(answer.lists.len()).unwrap_or(u64::MAX);
        let last = !answer.more || count == 0;
        after = Some(
            after
                .map_or(0, |after| after.saturating_add(1))
                .saturating_add(count)
                .saturating_sub(1),
        );
        lists.extend(answer.lists.iter().cloned());
        if last || u64::try_from(lists.len()).is_ok_and(|count| count > MAX_LISTS + RESERVED_LISTS) {
            return Ok(pb::DeviceLists { lists, ..answer });
        }
    }
}
