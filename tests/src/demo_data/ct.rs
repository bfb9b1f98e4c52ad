//! The CT series: one DICOM file an image, explicit VR little endian.
//!
//! Attributes follow the CT Image object of DICOM PS3.3 A.3; an image of 512 × 512 pixels takes half a mebibyte.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::identity::Identity;
use super::phantom;

/// Writes `slices` images named `IM0001.dcm` and so on; returns their size in bytes.
pub(super) fn write_series(folder: &Path, identity: &Identity, slices: u16) -> Result<u64> {
    let spacing = phantom::LENGTH_MM / f32::from(slices.max(1));
    let mut bytes = 0;
    for number in 1..=slices {
        let image = Image {
            identity,
            number,
            spacing,
            z: spacing * f32::from(number) - phantom::LENGTH_MM / 2.0,
        };
        let path = folder.join(file_name(number));
        image
            .write(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        bytes += fs::metadata(&path)?.len();
    }
    Ok(bytes)
}

/// When the study was made: `YYYYMMDD`.
pub(super) const STUDY_DATE: &str = "20260914";

/// The image's SOP instance UID.
pub(super) fn instance_uid(identity: &Identity, number: u16) -> String {
    identity.dicom_uid(&format!("image {number}"))
}

fn file_name(number: u16) -> String {
    format!("IM{number:04}.dcm")
}

/// One slice: its number from 1, the distance between slices and its place, in millimetres.
struct Image<'a> {
    identity: &'a Identity,
    number: u16,
    spacing: f32,
    z: f32,
}

impl Image<'_> {
    fn write(&self, path: &Path) -> Result<()> {
        let elements = [
            self.patient(),
            self.study(),
            self.series(),
            self.place(),
            self.pixels(),
        ];
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(instance_uid(self.identity, self.number));
        let object = InMemDicomObject::from_element_iter(elements.into_iter().flatten()).with_meta(meta)?;
        object.write_to_file(path)?;
        Ok(())
    }

    fn patient(&self) -> Vec<Element> {
        vec![
            text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
            text(tags::PATIENT_NAME, VR::PN, self.identity.dicom_name()),
            text(tags::PATIENT_ID, VR::LO, self.identity.number.as_str()),
            text(tags::PATIENT_BIRTH_DATE, VR::DA, self.identity.birth_date.dicom()),
            text(tags::PATIENT_SEX, VR::CS, self.identity.sex.dicom()),
        ]
    }

    fn study(&self) -> Vec<Element> {
        vec![
            text(tags::STUDY_INSTANCE_UID, VR::UI, self.identity.dicom_uid("study")),
            text(tags::STUDY_ID, VR::SH, "CT-1"),
            text(tags::STUDY_DATE, VR::DA, STUDY_DATE),
            text(tags::STUDY_TIME, VR::TM, "101500"),
            text(tags::STUDY_DESCRIPTION, VR::LO, "CT chest with contrast"),
            text(tags::ACCESSION_NUMBER, VR::SH, "A-20260914-17"),
            text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Morgenstern^Ottilie"),
            text(tags::INSTITUTION_NAME, VR::LO, "Hospital North"),
        ]
    }

    fn series(&self) -> Vec<Element> {
        vec![
            text(
                tags::SERIES_INSTANCE_UID,
                VR::UI,
                self.identity.dicom_uid("series"),
            ),
            text(tags::SERIES_NUMBER, VR::IS, "2"),
            text(tags::SERIES_DATE, VR::DA, STUDY_DATE),
            text(tags::SERIES_DESCRIPTION, VR::LO, "Chest, venous phase (phantom)"),
            text(tags::MODALITY, VR::CS, "CT"),
            text(tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
            text(tags::PATIENT_POSITION, VR::CS, "HFS"),
            text(tags::MANUFACTURER, VR::LO, "Medvault"),
            text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "Ellipsoid phantom"),
            text(tags::KVP, VR::DS, "120"),
            text(
                tags::FRAME_OF_REFERENCE_UID,
                VR::UI,
                self.identity.dicom_uid("frame of reference"),
            ),
            text(tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
        ]
    }

    fn place(&self) -> Vec<Element> {
        let corner = f32::from(phantom::SIZE - 1) / -2.0 * phantom::PIXEL_MM;
        vec![
            text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
            text(
                tags::SOP_INSTANCE_UID,
                VR::UI,
                instance_uid(self.identity, self.number),
            ),
            texts(
                tags::IMAGE_TYPE,
                VR::CS,
                ["ORIGINAL", "PRIMARY", "AXIAL"].map(str::to_owned),
            ),
            text(tags::INSTANCE_NUMBER, VR::IS, self.number.to_string()),
            text(tags::ACQUISITION_NUMBER, VR::IS, "1"),
            text(tags::CONTENT_DATE, VR::DA, STUDY_DATE),
            text(tags::CONTENT_TIME, VR::TM, "101742"),
            text(tags::SLICE_THICKNESS, VR::DS, decimal(self.spacing)),
            text(tags::SLICE_LOCATION, VR::DS, decimal(self.z)),
            texts(
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                [corner, corner, self.z].map(decimal),
            ),
            texts(
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                ["1", "0", "0", "0", "1", "0"].map(str::to_owned),
            ),
            texts(tags::PIXEL_SPACING, VR::DS, [phantom::PIXEL_MM; 2].map(decimal)),
        ]
    }

    fn pixels(&self) -> Vec<Element> {
        let pixels = phantom::slice(self.z, u64::from(self.number) << 32);
        vec![
            number(tags::SAMPLES_PER_PIXEL, 1),
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            number(tags::ROWS, phantom::SIZE),
            number(tags::COLUMNS, phantom::SIZE),
            number(tags::BITS_ALLOCATED, 16),
            number(tags::BITS_STORED, 12),
            number(tags::HIGH_BIT, 11),
            number(tags::PIXEL_REPRESENTATION, 0),
            text(tags::RESCALE_INTERCEPT, VR::DS, (-phantom::OFFSET_HU).to_string()),
            text(tags::RESCALE_SLOPE, VR::DS, "1"),
            text(tags::RESCALE_TYPE, VR::LO, "HU"),
            text(tags::WINDOW_CENTER, VR::DS, "40"),
            text(tags::WINDOW_WIDTH, VR::DS, "400"),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())),
        ]
    }
}

type Element = DataElement<InMemDicomObject>;

fn text(tag: Tag, vr: VR, value: impl Into<String>) -> Element {
    DataElement::new(tag, vr, dicom_value!(Str, value.into()))
}

fn texts<const N: usize>(tag: Tag, vr: VR, values: [String; N]) -> Element {
    DataElement::new(tag, vr, PrimitiveValue::Strs(values.into_iter().collect()))
}

fn number(tag: Tag, value: u16) -> Element {
    DataElement::new(tag, VR::US, dicom_value!(U16, value))
}

fn decimal(value: f32) -> String {
    format!("{value:.3}")
}
