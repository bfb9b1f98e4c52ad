//! Declarations of what statements hold and say. From one declaration follow the type, how it is read from its
//! message, and how it is written again.

/// A nested message: its type, the fields with the rules of their types and, with `where`, the rules between them. A field that is
/// called otherwise in the message has that name in parentheses before it.
macro_rules! fields {
    ($($(#[$meta:meta])* $name:ident: $message:ident $(where $check:ident)? {
        $($(#[$doc:meta])* $(($wire:ident))? $field:ident: $type:ty),* $(,)?
    })*) => {$(
        $(#[$meta])*
        pub struct $name {
            $(
                $(#[$doc])*
                #[allow(missing_docs, reason = "a field has a line where that says more than its name and type")]
                pub $field: $type,
            )*
        }

        impl $crate::field::Field<$crate::messages::$message> for $name {
            fn read(wire: $crate::messages::$message, _: &'static str) -> Result<Self, $crate::Error> {
                let $crate::messages::$message { $($($wire:)? $field),* } = wire;
                let read = Self { $($field: $crate::field::Field::read($field, stringify!($field))?),* };
                $(read.$check()?;)?
                Ok(read)
            }

            fn write(&self) -> $crate::messages::$message {
                $(let $field = $crate::field::Field::write(&self.$field);)*
                $crate::messages::$message { $($($wire:)? $field),* }
            }
        }

        /// Reads a nested message that must be there.
        impl $crate::field::Field<Option<$crate::messages::$message>> for $name {
            fn read(
                wire: Option<$crate::messages::$message>,
                field: &'static str,
            ) -> Result<Self, $crate::Error> {
                $crate::field::Field::read(wire.ok_or($crate::Error::Field { field })?, field)
            }

            fn write(&self) -> Option<$crate::messages::$message> {
                Some($crate::field::Field::write(self))
            }
        }
    )*};
}

/// The bodies of a file: type, message, label, who signs it, and the rest as in [`fields`]. `LABELS` are those of the file.
macro_rules! bodies {
    ($(
        $(#[$meta:meta])* $name:ident: $message:ident, $label:ident = $text:literal,
        by $by:ident $(or $also:ident)? $(where $check:ident)? {
            $($(#[$doc:meta])* $(($wire:ident))? $field:ident: $type:ty),* $(,)?
        }
    )*) => {
        $(
            const $label: $crate::labels::Label = $crate::labels::Label::new($text);

            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name {
                /// When it was made, in milliseconds since 1970, by the maker's clock.
                pub created: u64,
                $(
                    $(#[$doc])*
                    #[allow(missing_docs, reason = "a field has a line where that says more than its name and type")]
                    pub $field: $type,
                )*
            }

            impl $crate::body::Timestamped for $name {
                fn created(&self) -> u64 {
                    self.created
                }
            }

            impl $crate::body::Body for $name {
                const LABEL: $crate::labels::Label = $label;

                fn decode(bytes: &[u8]) -> Result<Self, $crate::Error> {
                    let $crate::messages::$message { header, $($($wire:)? $field),* } =
                        $crate::messages::decode_canonical(bytes)?;
                    let body = Self {
                        created: $crate::field::read_header(header)?,
                        $($field: $crate::field::Field::read($field, stringify!($field))?),*
                    };
                    $(body.$check()?;)?
                    Ok(body)
                }

                fn encode(&self) -> bytes::Bytes {
                    let header = $crate::field::write_header(self.created);
                    $(let $field = $crate::field::Field::write(&self.$field);)*
                    let message = $crate::messages::$message { header, $($($wire:)? $field),* };
                    prost::Message::encode_to_vec(&message).into()
                }
            }

            $crate::declare::signed_by!($name: $by $(or $also)?);
        )*

        /// The labels of these bodies.
        pub(super) const LABELS: &[$crate::labels::Label] = &[$($label),*];
    };
}

/// Whose devices must have signed it, and whether a delegate's may. Of others the word says who; what verifies them knows how.
macro_rules! signed_by {
    ($name:ident: patient) => {
        $crate::declare::signed_by!(@device $name, patient_id, false);
    };
    ($name:ident: patient or delegate) => {
        $crate::declare::signed_by!(@device $name, patient_id, true);
    };
    ($name:ident: guardian) => {
        $crate::declare::signed_by!(@device $name, guardian_id, false);
    };
    (@device $name:ident, $id:ident, $by_delegates:literal) => {
        #[allow(clippy::misnamed_getters, reason = "of a statement that names two patients, the one who signs")]
        impl $crate::body::OfPatient for $name {
            const BY_DELEGATES: bool = $by_delegates;

            fn patient_id(&self) -> $crate::ids::PatientId {
                self.$id
            }
        }
    };
    ($name:ident: $other:ident $(or $also:ident)?) => {};
}

pub(crate) use {bodies, fields, signed_by};
