//! How a table is declared.

/// Declares tables, each by a line:
///
/// ```text
/// NUMBER name(PARTITION; PARTS) -> Row, charged AS, from first(PARTS);
/// ```
///
/// PARTITION is a parameter that has a [`super::Partition`], or a constant in brackets; PARTS are parameters, each a
/// [`super::Part`], whose bytes make the suffix, one behind the other. This makes the constructor `name` of a row's key, and
/// `first`, the key from which on the rows lie that have these parts first (scanned on, it leads beyond them:
/// [`super::RowKey::rest`]). What is not said to be charged otherwise is [`super::Charged::Kept`].
///
/// A number that two tables have does not compile: the second arm of [`super::charged`] would never be reached.
macro_rules! tables {
    (@charged) => { Charged::Kept };
    (@charged $charged:ident) => { Charged::$charged };

    (@from $name:ident $number:literal [$($own:ident)?] [$($owner:ident: $owner_type:ty)?] $row:ty;) => {};
    (@from $name:ident $number:literal [$($own:ident)?] [$($owner:ident: $owner_type:ty)?] $row:ty;
        $from:ident($($first:ident: $first_type:ty),*)) => {
        #[doc = concat!("Where the rows begin that [`", stringify!($name), "`] names.")]
        pub(super) fn $from($($owner: $owner_type,)? $($first: $first_type),*) -> RowKey<$row> {
            RowKey::new($($own)? $($owner.partition())?, $number, &[$(&$first),*])
        }
    };

    ($(
        $(#[$doc:meta])+
        $number:literal $name:ident($([$own:ident])? $($owner:ident: $owner_type:ty)? $(; $($part:ident: $part_type:ty),+)?)
            -> $row:ty $(, charged $charged:ident)? $(, from $from:ident($($first:ident: $first_type:ty),*))?;
    )+) => {
        $(
            $(#[$doc])+
            pub(super) fn $name($($owner: $owner_type,)? $($($part: $part_type),+)?) -> RowKey<$row> {
                RowKey::new($($own)? $($owner.partition())?, $number, &[$($(&$part),+)?])
            }

            tables! {
                @from $name $number [$($own)?] [$($owner: $owner_type)?] $row; $($from($($first: $first_type),*))?
            }
        )+

        /// How a row counts, by its table.
        pub(super) fn charged(key: &Key) -> Charged {
            match key.table.number() {
                $($number => tables!(@charged $($charged)?),)+
                _ => Charged::Kept,
            }
        }

        /// Whatever was declared.
        #[cfg(test)]
        const CONSTRUCTORS: &[&str] = &[$(stringify!($name), $(stringify!($from),)?)+];
    };
}

pub(super) use tables;
