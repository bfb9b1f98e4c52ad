//! Rows in which every field is set, each to another value. They are made of all their fields by name: a field that is added to a row
//! does not compile until it stands here.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use prost::Message;

use super::{super::*, message::most_choices, name_of};

/// What can be made with no field at its default.
pub(super) trait Sample {
    fn sample(source: &mut Source) -> Self;
}

/// Where values come from: each is another one.
#[derive(Default)]
pub(super) struct Source {
    last: u8,
    /// Which field of each `oneof` is set.
    pub(super) choice: usize,
    /// The messages that are being made, each in the one before it.
    pub(super) within: Vec<String>,
}

impl Source {
    pub(super) fn next(&mut self) -> u8 {
        self.last = self.last.checked_add(1).unwrap();
        self.last
    }

    pub(super) fn text(&mut self) -> String {
        format!("t{}", self.next())
    }
}

macro_rules! values {
    ($($kind:ty: $source:ident => $value:expr,)*) => {
        $(impl Sample for $kind {
            fn sample($source: &mut Source) -> Self {
                $value
            }
        })*
    };
}

values! {
    bool: _source => true,
    i32: source => source.next().into(),
    u32: source => source.next().into(),
    u64: source => source.next().into(),
    String: source => source.text(),
    Bytes: source => vec![source.next()].into(),
}

impl<T: Sample> Sample for Option<T> {
    fn sample(source: &mut Source) -> Self {
        Some(T::sample(source))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(source: &mut Source) -> Self {
        vec![T::sample(source)]
    }
}

/// A row type of ours.
pub(super) struct GoldenRow {
    pub(super) name: &'static str,
    /// What the golden file says of it.
    pub(super) line: String,
    /// Its fields, with their numbers.
    pub(super) fields: Vec<(&'static str, u64)>,
}

/// Name and bytes of a row, once for each choice in it.
pub(super) fn line<R: Row + Sample>() -> String {
    let samples = (0..most_choices()).map(|choice| {
        R::sample(&mut Source {
            choice,
            ..Source::default()
        })
    });
    let mut texts = Vec::new();
    for sample in samples.map(|row| HEXLOWER.encode(&row.bytes())) {
        if !texts.contains(&sample) {
            texts.push(sample);
        }
    }
    format!("row {} {}", name_of::<R>(), texts.join(" | "))
}

/// The number of the only field that is set.
fn number(mut row: &[u8]) -> u64 {
    prost::encoding::decode_key(&mut row).unwrap().0.into()
}

macro_rules! rows {
    ($($row:ident { $($field:ident)* })*) => {
        $(impl Sample for $row {
            fn sample(_source: &mut Source) -> Self {
                Self { $($field: Sample::sample(_source)),* }
            }
        })*

        /// All row types of `rows/*.proto`.
        #[allow(clippy::field_reassign_with_default)]
        pub(super) fn rows() -> Vec<GoldenRow> {
            vec![$(GoldenRow {
                name: stringify!($row),
                line: line::<$row>(),
                fields: vec![$({
                    let mut only = $row::default();
                    only.$field = Sample::sample(&mut Source::default());
                    (stringify!($field), number(&only.encode_to_vec()))
                }),*],
            }),*]
        }
    };
}

rows! {
    Mark {}
    PatientRow { list signer devices root_epoch previous_root_keys vault_key leaving passed_over root_since kept }
    KeptEpoch { root_epoch from until }
    KeptKeysRow { root_keys }
    KeptCollectionsRow { collections }
    KeptKey { device root_key }
    LeavingRow { member by at }
    DeviceRow { patient device listed }
    LinkRow { offer expires answer opening }
    OfferRow { link }
    PlaceRow { patient request_hash }
    RequestRow { stored request_id asker concerned kind expires event history }
    PermissionRow { permission upload_key_wrap manifest_bytes upload_key_epoch }
    HistoryRow { entry permitted }
    MeterRow { uses_left bytes_left revoked revocation replaced uses_held bytes_held presented }
    OpenSessionRow { upload keyid }
    CommittedRow { permission upload institution receipt }
    ChallengesRow { open }
    Challenge { bytes expires }
    UploadRow { ticket presentation_hash leaves receipt abandoned reseal bytes }
    ResealRow { replaces version expires bytes_left }
    LeafRow { hash length }
    ReleaseRow { ticket bytes receipt purpose asked }
    ReleasedRow { record leaves }
    RecordRow { stored manifest_length upload_key_wrap upload_key_epoch opened }
    GoneRow { record deletion take_back institution receipt_hash }
    GoneVersionRow { collection number }
    ManifestRow { sealed }
    CountRow { value }
    IdempotencyRow { digest answer }
    LogQueueRow { entry }
    LogEntryRow { entry }
    LogIndexRow { index }
    LogTileRow { hashes }
    LogSaltRow { salt }
    LogCosignedRow { size checkpoint }
    LogHeadRow { size peaks checkpoint at events events_hash restorations restored }
    BackRow { log_size }
    FloorRow { at }
    BoundRow { operator registrar certificate authority witnesses }
    CollectionRow { sealed_name key_wraps }
    RecipientKeyRow { ends }
    TerminalRow { terminal_id terminal not_after }
    TerminalPlaceRow { institution }
    DelegationRow { delegation end given accepted refused followed }
    HeldRow { owner delegation event }
    PlacementRow { placement number }
    VersionRow { version number }
    IndexRow { generation segments last through bytes }
    ActsRow { count peaks heads newest }
    ActRow { act }
    WrapRow { wrap version record epoch number }
    EmergencyRow { entries }
    EmergencyEntryRow { permission card_key share recipient_key guardian wait guardian_half guardian_root_epoch help help_id
        helped objected accepted refused event }
    OpeningRow { ends }
    RateRow { at }
    InvitationRow { used }
    DayRow { day count }
    SenderRow { sender met blocked open day }
    OpenRow { id expires what }
    StrangersRow { open day }
    StrangersOpenRow { id expires }
    AccountRow { bytes records relations manifests since answers_day answers }
}
