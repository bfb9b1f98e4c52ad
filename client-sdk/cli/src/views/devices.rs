//! A patient's devices as lines of a table.

use client_sdk::DeviceInfo;

use crate::output::{moment, plain, table, word};

/// A patient's devices, one a line.
pub(crate) fn rows(devices: &[DeviceInfo]) -> String {
    table(
        ["DEVICE", "KIND", "ADDED", "", "NAME"],
        devices.iter().map(|device| {
            [
                device.id.to_string(),
                word(&device.kind),
                moment(device.added),
                match (device.this, device.leaving) {
                    (true, _) => "this one",
                    (false, true) => "leaves",
                    (false, false) => "",
                }
                .to_owned(),
                plain(&device.name),
            ]
        }),
    )
}
