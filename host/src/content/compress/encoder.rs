//! The encoders, each behind the same four calls.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use crate::config::{Coding, Compress};
use crate::error::{Error, Kind};

/// What brotli looks back over, as a power of two: 256 KiB. More would ask for megabytes for
/// each answer.
const BR_WINDOW: u32 = 18;
/// What brotli takes in before it works, bytes.
const BR_INPUT: usize = 16 << 10;

/// An encoder that is at work. What it puts out gathers in a buffer of its own.
pub(super) enum Encoder {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Encoder {
    pub(super) fn new(coding: Coding, settings: &Compress) -> Result<Self, Error> {
        let out = Vec::new();
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Box::new(GzEncoder::new(out, flate2::Compression::new(settings.gzip_level)))),
            Coding::Br => {
                Self::Br(Box::new(brotli::CompressorWriter::new(out, BR_INPUT, settings.br_level, BR_WINDOW)))
            }
            Coding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(out, settings.zstd_level);
                Self::Zstd(Box::new(encoder.map_err(|e| failed(&e))?))
            }
        })
    }

    /// Compress bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Br(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        };
        written.map_err(|e| failed(&e))
    }

    /// Put out all that was written so far, so that it can be read without what follows.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        let flushed = match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Br(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        };
        flushed.map_err(|e| failed(&e))
    }

    /// How many bytes have come out.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Br(encoder) => encoder.get_ref().len(),
            Self::Zstd(encoder) => encoder.get_ref().len(),
        }
    }

    /// What has come out.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Br(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        })
    }

    /// End, and give what comes out last.
    pub(super) fn finish(self) -> Result<Vec<u8>, Error> {
        let last = match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Br(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        };
        last.map_err(|e| failed(&e))
    }
}

fn failed(error: &io::Error) -> Error {
    Error::new(Kind::File, format!("compression: {error}"))
}
