"use strict";

/* Decodes FLAC (RFC 9639) for browsers that cannot play it: what libFLAC
   writes, up to 24 bits, mono and stereo, without checking its sums. */

class BitReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.bit = 0; // from the start of the file
  }

  get isAtEnd() {
    return this.bit + 16 > this.bytes.length * 8;
  }

  align() {
    this.bit = (this.bit + 7) & ~7;
  }

  unsigned(count) {
    let value = 0;
    while (count > 0) {
      const byte = this.bytes[this.bit >> 3];
      if (byte === undefined) throw new Error("the FLAC file is cut short");
      const left = 8 - (this.bit & 7);
      const taken = Math.min(left, count);
      const part = (byte >> (left - taken)) & ((1 << taken) - 1);
      value = value * (1 << taken) + part; // may pass 32 bits
      this.bit += taken;
      count -= taken;
    }
    return value;
  }

  signed(count) {
    const value = this.unsigned(count);
    return value < 2 ** (count - 1) ? value : value - 2 ** count;
  }

  unary() {
    let zeros = 0;
    while (this.unsigned(1) === 0) zeros += 1;
    return zeros;
  }

  rice(parameter) {
    const folded = this.unary() * 2 ** parameter + this.unsigned(parameter);
    return folded % 2 ? -(folded + 1) / 2 : folded / 2;
  }
}

/* Returns {sampleRate, bits, channels: [Int32Array]}. */
function decodeFlac(bytes) {
  const reader = new BitReader(bytes);
  if (reader.unsigned(32) !== 0x664c6143) throw new Error("not a FLAC file");
  const info = readMetadata(reader);
  const channels = Array.from(
    { length: info.channelCount }, () => new Int32Array(info.samples));
  let position = 0;
  while (position < info.samples && !reader.isAtEnd) {
    const block = readFrame(reader, info);
    channels.forEach((channel, i) => channel.set(block[i], position));
    position += block[0].length;
  }
  return { sampleRate: info.sampleRate, bits: info.bits, channels };
}

function readMetadata(reader) {
  let info = null;
  for (let isLast = false; !isLast;) {
    isLast = reader.unsigned(1) === 1;
    const type = reader.unsigned(7);
    const length = reader.unsigned(24);
    const end = reader.bit + 8 * length;
    if (type === 0) {
      reader.bit += 16 + 16 + 24 + 24; // least and greatest sizes
      info = {
        sampleRate: reader.unsigned(20),
        channelCount: reader.unsigned(3) + 1,
        bits: reader.unsigned(5) + 1,
        samples: reader.unsigned(36),
      };
    }
    reader.bit = end;
  }
  return info;
}

function readFrame(reader, info) {
  if (reader.unsigned(14) !== 0x3ffe) throw new Error("damaged FLAC file");
  reader.bit += 2;
  const sizeCode = reader.unsigned(4);
  const rateCode = reader.unsigned(4);
  const layout = reader.unsigned(4);
  reader.bit += 4; // sample size, as in the metadata
  let more = 0; // the frame's number is coded as UTF-8
  while (reader.unsigned(1) === 1) more += 1;
  reader.bit += 7 - more + 8 * Math.max(0, more - 1);
  const size = blockSize(reader, sizeCode);
  if (rateCode === 12) reader.bit += 8;
  if (rateCode === 13 || rateCode === 14) reader.bit += 16;
  reader.bit += 8; // CRC of the header

  const count = layout < 8 ? layout + 1 : 2;
  const block = [];
  for (let i = 0; i < count; i += 1) {
    const isSide = (layout === 8 && i === 1) || (layout === 9 && i === 0)
      || (layout === 10 && i === 1);
    block.push(readSubframe(reader, size, info.bits + (isSide ? 1 : 0)));
  }
  reader.align();
  reader.bit += 16; // CRC of the frame
  if (layout >= 8) decorrelate(block, layout);
  return block;
}

function blockSize(reader, code) {
  if (code === 1) return 192;
  if (code <= 5) return 576 << (code - 2);
  if (code === 6) return reader.unsigned(8) + 1;
  if (code === 7) return reader.unsigned(16) + 1;
  return 256 << (code - 8);
}

function decorrelate([first, second], layout) {
  for (let i = 0; i < first.length; i += 1) {
    const [a, b] = [first[i], second[i]];
    if (layout === 8) second[i] = a - b; // left and side
    else if (layout === 9) first[i] = a + b; // side and right
    else { // mid and side
      const sum = 2 * a + (b & 1);
      first[i] = (sum + b) / 2;
      second[i] = (sum - b) / 2;
    }
  }
}

const FIXED = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]];

function readSubframe(reader, size, bits) {
  reader.bit += 1;
  const type = reader.unsigned(6);
  const wasted = reader.unsigned(1) ? reader.unary() + 1 : 0;
  bits -= wasted;
  const samples = new Int32Array(size);
  if (type === 0) {
    samples.fill(reader.signed(bits));
  } else if (type === 1) {
    for (let i = 0; i < size; i += 1) samples[i] = reader.signed(bits);
  } else if (type >= 8 && type <= 12) {
    readPredicted(reader, samples, bits, type - 8, () => [FIXED[type - 8], 0]);
  } else if (type >= 32) {
    readPredicted(reader, samples, bits, type - 31, (order) => {
      const precision = reader.unsigned(4) + 1;
      const shift = reader.signed(5);
      const weights = Array.from(
        { length: order }, () => reader.signed(precision));
      return [weights, shift];
    });
  } else {
    throw new Error("damaged FLAC file");
  }
  if (wasted) for (let i = 0; i < size; i += 1) samples[i] <<= wasted;
  return samples;
}

/* Samples that are predicted from `order` earlier ones, and the errors. */
function readPredicted(reader, samples, bits, order, readPredictor) {
  for (let i = 0; i < order; i += 1) samples[i] = reader.signed(bits);
  const [weights, shift] = readPredictor(order);
  readResidual(reader, samples, order);
  const scale = 2 ** shift;
  for (let i = order; i < samples.length; i += 1) {
    let sum = 0; // at most 2^46: exact
    for (let k = 0; k < order; k += 1) sum += weights[k] * samples[i - 1 - k];
    samples[i] += Math.floor(sum / scale);
  }
}

function readResidual(reader, samples, order) {
  const parameterBits = reader.unsigned(2) === 0 ? 4 : 5;
  const partitions = 1 << reader.unsigned(4);
  const escape = (1 << parameterBits) - 1;
  const length = samples.length / partitions;
  for (let i = order, p = 1; p <= partitions; p += 1) {
    const parameter = reader.unsigned(parameterBits);
    const raw = parameter === escape ? reader.unsigned(5) : 0;
    for (; i < p * length; i += 1) {
      if (parameter < escape) samples[i] = reader.rice(parameter);
      else samples[i] = raw ? reader.signed(raw) : 0;
    }
  }
}

/* A WAV file of 16 bits; deeper samples are rounded. */
function encodeWav({ sampleRate, bits, channels }) {
  const [count, length] = [channels.length, channels[0].length];
  const size = 2 * count * length;
  const view = new DataView(new ArrayBuffer(44 + size));
  const text = (at, word) => [...word].forEach(
    (letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, count, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * count * sampleRate, true);
  view.setUint16(32, 2 * count, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, size, true);
  const step = 2 ** (bits - 16);
  for (let i = 0; i < length; i += 1) {
    channels.forEach((channel, c) => {
      const value = Math.min(Math.round(channel[i] / step), 32767);
      view.setInt16(44 + 2 * (count * i + c), value, true);
    });
  }
  return view.buffer;
}
