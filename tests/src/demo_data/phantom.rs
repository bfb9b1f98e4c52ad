//! A chest built of ellipsoids, in Hounsfield units.
//!
//! Later shapes paint over earlier ones. Noise like that of a scanner makes the images as hard to compress as
//! real ones.

/// Width and height of an image in pixels.
pub(super) const SIZE: u16 = 512;
/// Edge of a pixel in millimetres.
pub(super) const PIXEL_MM: f32 = 0.75;
/// Length of the body part in millimetres, whatever the number of slices.
pub(super) const LENGTH_MM: f32 = 300.0;
/// What is added to Hounsfield units so that stored values are not negative.
pub(super) const OFFSET_HU: i16 = 1024;

/// The stored pixel values of the slice at `z` millimetres from the middle, row by row.
pub(super) fn slice(z: f32, noise_seed: u64) -> Vec<u16> {
    let shapes: Vec<Disc> = CHEST.iter().filter_map(|shape| shape.at(z)).collect();
    let middle = f32::from(SIZE - 1) / 2.0;
    let coordinates = || (0..SIZE).map(|index| (f32::from(index) - middle) * PIXEL_MM);
    let mut noise = Noise(noise_seed);
    coordinates()
        .flat_map(|y| coordinates().map(move |x| (x, y)))
        .map(|(x, y)| stored(tissue(&shapes, x, y) + noise.next()))
        .collect()
}

/// An ellipsoid of one tissue: centre and half axes in millimetres.
/// x grows to the patient's left, y to the back, z to the head.
struct Ellipsoid {
    centre: [f32; 3],
    axes: [f32; 3],
    hounsfield: i16,
}

/// An ellipsoid cut by a plane.
struct Disc {
    centre: [f32; 2],
    inverse_axes: [f32; 2],
    hounsfield: i16,
}

impl Ellipsoid {
    fn at(&self, z: f32) -> Option<Disc> {
        let height = (z - self.centre[2]) / self.axes[2];
        let scale = (1.0 - height * height).max(0.0).sqrt();
        (scale > 0.0).then(|| Disc {
            centre: [self.centre[0], self.centre[1]],
            inverse_axes: [1.0 / (self.axes[0] * scale), 1.0 / (self.axes[1] * scale)],
            hounsfield: self.hounsfield,
        })
    }
}

impl Disc {
    fn contains(&self, x: f32, y: f32) -> bool {
        let across = (x - self.centre[0]) * self.inverse_axes[0];
        let down = (y - self.centre[1]) * self.inverse_axes[1];
        across * across + down * down <= 1.0
    }
}

fn tissue(shapes: &[Disc], x: f32, y: f32) -> i16 {
    shapes
        .iter()
        .rev()
        .find(|shape| shape.contains(x, y))
        .map_or(AIR, |shape| shape.hounsfield)
}

/// Clamped to the 12 bits that a CT image stores.
fn stored(hounsfield: i16) -> u16 {
    hounsfield.saturating_add(OFFSET_HU).clamp(0, 4095).unsigned_abs()
}

/// Triangular noise of ±30 Hounsfield units from a SplitMix64 generator.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> i16 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [low, high, ..] = bits.to_be_bytes();
        i16::from(low % 31) - i16::from(high % 31)
    }
}

const AIR: i16 = -1000;

const CHEST: [Ellipsoid; 16] = [
    // skin and fat, muscle, the chest wall's bone, and what it encloses
    Ellipsoid {
        centre: [0.0, 0.0, 0.0],
        axes: [172.0, 118.0, 600.0],
        hounsfield: -90,
    },
    Ellipsoid {
        centre: [0.0, 0.0, 0.0],
        axes: [160.0, 107.0, 560.0],
        hounsfield: 50,
    },
    Ellipsoid {
        centre: [0.0, -4.0, 0.0],
        axes: [142.0, 92.0, 400.0],
        hounsfield: 420,
    },
    Ellipsoid {
        centre: [0.0, -4.0, 0.0],
        axes: [136.0, 86.0, 390.0],
        hounsfield: 40,
    },
    // lungs, with a nodule in the right one
    Ellipsoid {
        centre: [-68.0, -2.0, 10.0],
        axes: [56.0, 76.0, 140.0],
        hounsfield: -830,
    },
    Ellipsoid {
        centre: [72.0, -2.0, 10.0],
        axes: [52.0, 76.0, 140.0],
        hounsfield: -830,
    },
    Ellipsoid {
        centre: [-84.0, 22.0, 36.0],
        axes: [9.0, 8.0, 10.0],
        hounsfield: 60,
    },
    // heart, its left chamber with contrast agent
    Ellipsoid {
        centre: [22.0, -26.0, -30.0],
        axes: [54.0, 46.0, 62.0],
        hounsfield: 45,
    },
    Ellipsoid {
        centre: [34.0, -22.0, -34.0],
        axes: [26.0, 22.0, 40.0],
        hounsfield: 290,
    },
    // liver below the right lung
    Ellipsoid {
        centre: [-58.0, -8.0, -150.0],
        axes: [76.0, 72.0, 62.0],
        hounsfield: 62,
    },
    // aorta, trachea
    Ellipsoid {
        centre: [16.0, 44.0, 0.0],
        axes: [13.0, 13.0, 500.0],
        hounsfield: 310,
    },
    Ellipsoid {
        centre: [0.0, 12.0, 130.0],
        axes: [9.0, 9.0, 90.0],
        hounsfield: -990,
    },
    // vertebra and its canal, breastbone
    Ellipsoid {
        centre: [0.0, 72.0, 0.0],
        axes: [22.0, 19.0, 500.0],
        hounsfield: 620,
    },
    Ellipsoid {
        centre: [0.0, 72.0, 0.0],
        axes: [17.0, 14.0, 500.0],
        hounsfield: 240,
    },
    Ellipsoid {
        centre: [0.0, 96.0, 0.0],
        axes: [9.0, 8.0, 500.0],
        hounsfield: 20,
    },
    Ellipsoid {
        centre: [0.0, -92.0, 10.0],
        axes: [20.0, 6.0, 130.0],
        hounsfield: 480,
    },
];
